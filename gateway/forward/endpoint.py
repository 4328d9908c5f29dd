"""Where a target listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`tls` is None for plain HTTP; where it is set, the certificate must be that of `server_name`."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str | None

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> Endpoint:
        """From `http://host:port` or `https://host:port`. The rest is for the latter; its `server_name` is its host unless
        another one is given."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        if parts.scheme == "http":
            return cls(parts.hostname, parts.port or 80, None, None)
        return cls(parts.hostname, parts.port or 443, tls, server_name or parts.hostname)

    @property
    def authority(self) -> str:
        """What a request of the gateway's own names as its host."""
        name = _bracketed(self.server_name or self.host)
        return name if self.port == (80 if self.tls is None else 443) else f"{name}:{self.port}"

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
