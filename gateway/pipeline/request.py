"""The one canonical form of a request that every decision is made on, and that is forwarded as it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

T = TypeVar("T")


class _Lazy(Generic[T]):
    """Worked out when first asked for. Without the lock that `functools.cached_property` takes before Python 3.12."""

    def __init__(self, function: Callable[[InboundRequest], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, request: InboundRequest, _: object = None) -> T:
        value = request.__dict__[self._name] = self._function(request)
        return value


@dataclass(frozen=True)
class InboundRequest:
    """A request whose hygiene has been checked.

    `target` is the request target in origin-form, byte for byte as sent; `path` and `query` are its two parts, undecoded.
    `fields` are the headers in order, names in lower case. `received_at` is wall time in seconds. `client_ip` and `scheme`
    are those of the client as far as trusted proxies vouch for them; `forwarded_for` is the chain of addresses up to us.
    """

    method: str
    target: bytes
    host: str
    fields: tuple[tuple[bytes, bytes], ...]
    client_ip: str
    scheme: str
    request_id: str
    received_at: float
    websocket: bool = False
    traceparent: str | None = None
    forwarded_for: str | None = None

    @_Lazy
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("ascii")

    @_Lazy
    def query(self) -> str:
        return self.target.partition(b"?")[2].decode("ascii")

    @_Lazy
    def hostname(self) -> str:
        """The host without its port; an IPv6 address in its brackets."""
        has_port = ":" in self.host and not self.host.endswith("]")
        return self.host.rpartition(":")[0] if has_port else self.host

    @_Lazy
    def headers(self) -> Mapping[str, str]:
        """Values by lower-case name, decoded as Latin-1; a field sent several times is joined by commas (RFC 9110, 5.3).
        Security headers occur once: the edge has refused the rest."""
        joined: dict[str, str] = {}
        for name, value in self.fields:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            joined[key] = f"{joined[key]}, {text}" if key in joined else text
        return MappingProxyType(joined)

    @_Lazy
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        """Query parameters, decoded, with all their values."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found[name] = (*found.get(name, ()), value)
        return MappingProxyType(found)

    def known(self, headers: Mapping[str, str]) -> None:
        """Whoever has checked `fields` has `headers` already."""
        self.__dict__["headers"] = MappingProxyType(headers)

    @_Lazy
    def bearer(self) -> str | None:
        """What follows `Bearer` in `Authorization` (RFC 9110, 11.4: any case, one or more spaces); None: no such header, or
        another scheme."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip(" ") if scheme.lower() == "bearer" else None

    def header(self, name: str) -> str | None:
        return self.headers.get(name)
