"""The most specific route for host, path and method. The path is matched as sent, undecoded; nothing is rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import BAD_PATH, METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, Refused
from gateway.pipeline.chain import Chain
from gateway.pipeline.request import InboundRequest

from .canonical import has_encoded_slash

_REMEMBERED, _LONGEST_PATH = 4096, 256


@dataclass(frozen=True)
class Route:
    """A route of gateway.yaml, ready to be walked. Exactly one of `upstream` and `builtin` is set. `stale_for`: see Admit.
    `white_label`: for hosts that a tenant has proved to be its own, and in its name."""

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
    x_ratelimit_headers: bool = False
    stale_for: float | None = None
    white_label: bool = False


class Router:
    """Routes sorted by how specific they are: an exact host before a wildcard (the longest first) before none, then literal
    segments before `{one}` before `*`, from the left; then those that name methods. `/a/*` takes `/a` too, which must not
    fall to a wider route with weaker policies."""

    def __init__(self, routes: Iterable[Route]) -> None:
        patterns = (_Pattern(route, host) for route in routes for host in route.hosts or ("*",))
        self._patterns = sorted(patterns, key=_Pattern.rank)
        self._found: dict[tuple[str, str, str], Route] = {}

    def match(self, request: InboundRequest) -> Route:
        """Raises Refused: ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED with `Allow`, or BAD_PATH."""
        asked = (request.host, request.path, request.method)
        found = self._found.get(asked)
        if found is None:
            found = self._match(request)
            # A preflight is routed by more than that.
            if request.method != "OPTIONS" and len(request.path) <= _LONGEST_PATH:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[asked] = found
        return found

    def _match(self, request: InboundRequest) -> Route:
        segments = request.path.split("/")[1:]
        host = request.hostname
        allowed: set[str] = set()
        for pattern in self._patterns:
            if not (pattern.takes_host(host) and pattern.takes_path(segments)):
                continue
            route = pattern.route
            if route.methods and _method(request, route) not in route.methods:
                allowed |= route.methods
                continue
            if not route.encoded_slashes and has_encoded_slash(request.path):
                raise Refused(BAD_PATH, "The path holds an encoded slash or backslash.")
            return route
        if allowed:
            raise Refused(METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(sorted(allowed))),))
        raise Refused(ROUTE_NOT_FOUND)


class _Pattern:
    """One route on one of its hosts; `*` stands for all."""

    def __init__(self, route: Route, host: str) -> None:
        self.route = route
        self._host = host
        self._segments = route.path.split("/")[1:]
        self._open = self._segments[-1] == "*"
        if self._open:
            del self._segments[-1]

    def rank(self) -> tuple[object, ...]:
        wildcard = self._host.startswith("*")
        segments = tuple(1 if _is_parameter(segment) else 0 for segment in self._segments)
        return (wildcard, -len(self._host), (*segments, 2) if self._open else segments, not self.route.methods, self.route.path)

    def takes_host(self, host: str) -> bool:
        return host.endswith(self._host[1:]) if self._host.startswith("*") else host == self._host

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


def _method(request: InboundRequest, route: Route) -> str:
    """Where a route answers browsers of other origins, a CORS preflight takes the route of the request that it announces."""
    if request.method == "OPTIONS" and route.chain.cross_origin is not None:
        return request.header("access-control-request-method") or "OPTIONS"
    return request.method
