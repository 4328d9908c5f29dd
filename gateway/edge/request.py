"""An ASGI scope becomes the one canonical request, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from gateway.clock import Clock
from gateway.errors import BAD_REQUEST, Refused
from gateway.pipeline.request import InboundRequest
from gateway.routing.canonical import check_target

from .head import Fields, Head
from .hygiene import HeaderRules, host_of, origin_form
from .origin import Network, Origins, traceparent_of

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
        self._origins = Origins(trusted)
        self._rules = HeaderRules(references)

    def request_id(self, peer: str, fields: Iterable[tuple[bytes, bytes]]) -> str:
        """Known before anything is checked, since a refusal carries it too. `peer` is the address at the other end."""
        return self._origins.request_id(peer, fields)

    def read_scope(self, scope: Scope, request_id: str) -> InboundRequest:
        """From ASGI. Raises Refused for every fault of hygiene."""
        known, is_websocket = told(scope), scope["type"] == "websocket"
        if known is not None and known.fault is not None:
            raise known.fault
        method = "GET" if is_websocket else scope["method"]
        fields = tuple(scope["headers"])
        return self._read(method, _target(scope), fields, peer_of(scope), _scheme(scope), request_id, websocket=is_websocket)

    def read_head(self, head: Head, peer: str, scheme: str, request_id: str) -> InboundRequest:
        """From our own protocol. Raises Refused likewise."""
        if head.fault is not None:
            raise head.fault
        return self._read(head.method, head.target, head.fields, peer, scheme, request_id, websocket=False)

    def _read(
        self, method: str, target: bytes, fields: Fields, peer: str, scheme: str, request_id: str, *, websocket: bool
    ) -> InboundRequest:
        headers = self._rules.check(fields)
        host = host_of(headers.get("host"))
        target = origin_form(target, host)
        check_target(target)
        if method in _REFUSED_METHODS:
            raise Refused(BAD_REQUEST, f"{method} is not accepted.")
        origin = self._origins.of(peer, scheme, headers)
        request = InboundRequest(
            method=method,
            target=target,
            host=host,
            fields=fields,
            client_ip=origin.client_ip,
            scheme=origin.scheme,
            request_id=request_id,
            received_at=self._clock.now(),
            websocket=websocket,
            traceparent=traceparent_of(headers.get("traceparent")),
            forwarded_for=origin.forwarded_for,
        )
        request.known(headers)
        return request


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
