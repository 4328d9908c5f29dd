"""The request that is sent over and over, as bytes."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.sign import host_and_target

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# Whoever set these could have two requests read where one is counted, or none.
_OURS = frozenset({"connection", "content-length", "expect", "transfer-encoding", "upgrade"})


@dataclass(frozen=True)
class Request:
    """`tls` is None for plain HTTP. `bytes` holds credentials, and is not to be shown."""

    url: str
    method: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    bytes: bytes = field(repr=False)

    @classmethod
    def of(cls, url: str, headers: Sequence[str], method: str | None = None, data: str | None = None) -> Request:
        """`headers`: `Name: value` each; a `Host` among them takes the place of the URL's. `data`: the body, or `@file`.
        Raises ValueError for what can't be sent, and OSError where the file can't be read."""
        host, target = host_and_target(url)
        parts = urlsplit(url)
        body = _body(data) if data is not None else None
        method = (method or ("GET" if body is None else "POST")).upper()
        if _METHOD.fullmatch(method) is None:
            raise ValueError(f"{method!r} is not a method")
        fields = [_field(header) for header in headers]
        if all(name.lower() != "host" for name, _ in fields):
            fields.insert(0, ("Host", host))
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
        secure = parts.scheme == "https"
        return cls(
            url=url.partition("?")[0],
            method=method,
            host=parts.hostname or "",
            port=parts.port or (443 if secure else 80),
            tls=ssl.create_default_context() if secure else None,
            bytes="\r\n".join(lines).encode("latin-1") + (body or b""),
        )


def _field(header: str) -> tuple[str, str]:
    """The fault quotes no value: it may be a credential."""
    match = _HEADER.fullmatch(header)
    if match is None:
        raise ValueError("a header is given as `Name: value`, on one line")
    name, value = match[1], match[2].rstrip(" \t")
    if name.lower() in _OURS:
        raise ValueError(f"{name} is set by the command itself")
    if not value.isascii():
        raise ValueError(f"the value of {name} holds a character outside of ASCII")
    return name, value


def _body(data: str) -> bytes:
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
