"""The most specific route for host, path and method. The path is matched as sent, undecoded; nothing is rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import BAD_PATH, METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, Refused
from gateway.pipeline.chain import Chain
from gateway.pipeline.request import InboundRequest

from .canonical import has_encoded_slash


@dataclass(frozen=True)
class Route:
    """A route of gateway.yaml, ready to be walked. Exactly one of `upstream` and `builtin` is set."""

    name: str
    path: str
    chain: Chain
    upstream: str | None = None
    builtin: str | None = None
    hosts: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset()
    max_body: int = 10 << 20
    encoded_slashes: bool = False
    keep_authorization: bool = False


class Router:
    """Routes sorted by how specific they are: an exact host before a wildcard before none, then literal segments before
    `{one}` before `*`, from the left; then those that name methods."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._patterns = sorted((_Pattern(route) for route in routes), key=_Pattern.rank)

    def match(self, request: InboundRequest) -> Route:
        """Raises Refused: ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED with `Allow`, or BAD_PATH."""
        segments = request.path.split("/")[1:]
        host = request.host.rpartition(":")[0] if _has_port(request.host) else request.host
        method = _method(request)
        allowed: set[str] = set()
        for pattern in self._patterns:
            if not (pattern.takes_host(host) and pattern.takes_path(segments)):
                continue
            if pattern.route.methods and method not in pattern.route.methods:
                allowed |= pattern.route.methods
                continue
            if not pattern.route.encoded_slashes and has_encoded_slash(request.path):
                raise Refused(BAD_PATH, "The path holds an encoded slash or backslash.")
            return pattern.route
        if allowed:
            raise Refused(METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(sorted(allowed))),))
        raise Refused(ROUTE_NOT_FOUND)


class _Pattern:
    def __init__(self, route: Route) -> None:
        self.route = route
        self._segments = route.path.split("/")[1:]
        self._open = self._segments[-1] == "*"
        if self._open:
            del self._segments[-1]

    def rank(self) -> tuple[object, ...]:
        hosts = min((host.startswith("*.") for host in self.route.hosts), default=2)
        segments = tuple(1 if _is_parameter(segment) else 0 for segment in self._segments)
        return (hosts, (*segments, 2) if self._open else segments, not self.route.methods, self.route.path)

    def takes_host(self, host: str) -> bool:
        return not self.route.hosts or any(
            host.endswith(wanted[1:]) and host != wanted[2:] if wanted.startswith("*.") else host == wanted
            for wanted in self.route.hosts
        )

    def takes_path(self, segments: list[str]) -> bool:
        own = self._segments
        if len(segments) != len(own) and not (self._open and len(segments) > len(own)):
            return False
        return all(
            segment == wanted or (_is_parameter(wanted) and segment != "")
            for segment, wanted in zip(segments, own, strict=False)
        )


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _has_port(host: str) -> bool:
    return ":" in host and not host.endswith("]")


def _method(request: InboundRequest) -> str:
    """A CORS preflight is answered by the route of the request that it announces."""
    return request.header("access-control-request-method") or request.method if request.method == "OPTIONS" else request.method
