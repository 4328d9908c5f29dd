"""An ASGI scope becomes the one canonical request, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from gateway.clock import Clock
from gateway.errors import BAD_REQUEST, Refused
from gateway.pipeline.request import InboundRequest
from gateway.routing.canonical import check_target

from .hygiene import HeaderRules, host_of, origin_form
from .origin import Network, origin_of, request_id_of, traceparent_of

EXTENSION = "tenantgate"
"""ASGI extension of our own protocol: a `Told` for each request."""


@dataclass(slots=True)
class Told:
    """`target` is the raw request target, `abort` drops the connection. `fault`: the message is broken, or has turned out so
    while its body was read."""

    target: bytes
    abort: Callable[[], None]
    fault: Refused | None = None


def told(scope: Scope) -> Told | None:
    """What our own protocol tells of a request; None under another server. The state of a connection carries it to the protocol
    that takes over after an upgrade."""
    found: Told | None = scope.get("extensions", {}).get(EXTENSION) or scope.get("state", {}).get(EXTENSION)
    return found


# TRACE would have an upstream echo our identity token to the client; CONNECT names no resource.
_REFUSED_METHODS = frozenset({"TRACE", "CONNECT"})


class RequestReader:
    def __init__(self, clock: Clock, trusted: Sequence[Network] = (), references: frozenset[bytes] = frozenset()) -> None:
        """`trusted`: networks of proxies in front. `references`: headers that name a tenant, beside the built-in ones."""
        self._clock = clock
        self._trusted = tuple(trusted)
        self._rules = HeaderRules(references)

    def request_id(self, scope: Scope) -> str:
        """Known before anything is checked, since a refusal carries it too."""
        peer, headers = peer_of(scope), {}
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                headers["x-request-id"] = value.decode("latin-1")
        return request_id_of(peer, headers, self._trusted)

    def read(self, scope: Scope, request_id: str) -> InboundRequest:
        """Raises Refused for every fault of hygiene."""
        known = told(scope)
        if known is not None and known.fault is not None:
            raise known.fault
        fields: tuple[tuple[bytes, bytes], ...] = tuple(scope["headers"])
        self._rules.check(fields)
        host = host_of(fields)
        target = origin_form(_target(scope), host)
        check_target(target)
        method = "GET" if scope["type"] == "websocket" else scope["method"]
        if method in _REFUSED_METHODS:
            raise Refused(BAD_REQUEST, f"{method} is not accepted.")
        plain = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
        peer = peer_of(scope)
        origin = origin_of(peer, _scheme(scope), plain, self._trusted)
        return InboundRequest(
            method=method,
            target=target,
            host=host,
            fields=fields,
            client_ip=origin.client_ip,
            scheme=origin.scheme,
            request_id=request_id,
            received_at=self._clock.now(),
            websocket=scope["type"] == "websocket",
            traceparent=traceparent_of(plain),
            forwarded_for=origin.forwarded_for,
        )


def _target(scope: Scope) -> bytes:
    """The raw target where our protocol carries it. Another server has parsed it already; what it left is put together."""
    known = told(scope)
    if known is not None:
        return known.target
    path, query = bytes(scope["raw_path"]), bytes(scope["query_string"])
    return path + b"?" + query if query else path


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection; empty where there is none, as on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _scheme(scope: Scope) -> str:
    return {"ws": "http", "wss": "https"}.get(scope["scheme"], str(scope["scheme"]))
