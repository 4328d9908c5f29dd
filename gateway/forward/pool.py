"""The upstreams of a configuration, each with its targets and their connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from gateway.clock import Clock
from gateway.settings.tls import tls_context, uses_tls
from gateway.settings.upstreams import Timeouts, Upstream

from .balance import Balance
from .endpoint import Endpoint
from .exchange import Chooser, Exchange, NotSent, OutboundHead, Sink, Timings, UpstreamAborted
from .health import State, UpstreamHealth
from .prober import keep_checking
from .stream import UpstreamResponse
from .target import Target

__all__ = ["NotSent", "OutboundHead", "TargetStatus", "Timings", "UpstreamAborted", "UpstreamResponse", "Upstreams"]

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target as this process sees it. `outstanding` are requests that run or wait there, and tunnels; `idle` connections wait
    for their next request; `ejections`: how often it was left out for its failures."""

    upstream: str
    target: str
    state: State
    outstanding: int
    idle: int
    ejections: int


class Upstreams:
    """`settings` by the upstreams' names. Raises OSError where a file for TLS can't be used."""

    def __init__(self, settings: Mapping[str, Upstream], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._balances = {name: _balance(upstream, clock) for name, upstream in settings.items()}
        self._checks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to check the targets of upstreams that are checked."""
        for name, upstream in self._settings.items():
            checks = upstream.health.active
            if checks.path is not None:
                for target in self._balances[name].targets:
                    self._checks.append(asyncio.create_task(keep_checking(target, checks, self._clock)))

    def begin(self, upstream: str, head: OutboundHead, body: bytes | None, sink: Sink, *, streamed: bool = False) -> Exchange:
        """Make an exchange of callbacks; `Exchange.start` sends it. `body` is one that is at hand; a streamed one is written
        piece by piece once `sink.resume_upload` has been called."""
        return Exchange.of(self._balances[upstream], head, body, sink, streamed=streamed)

    def chooser(self, upstream: str) -> Chooser:
        """For an `Exchange` whose opening is ready. The same as long as there are these upstreams."""
        return self._balances[upstream]

    async def send(self, upstream: str, head: OutboundHead, body: AsyncIterable[bytes] | bytes | None) -> UpstreamResponse:
        """Send a request, and wait for the head of its response. The body goes on being sent meanwhile and afterwards, until
        the response is complete. Raises Refused (UPSTREAM_*), and whatever iterating `body` raises."""
        response = UpstreamResponse()
        if body is None or isinstance(body, bytes):
            return await response.opened(self.begin(upstream, head, body, response), None)
        return await response.opened(self.begin(upstream, head, None, response, streamed=True), body)

    @asynccontextmanager
    async def tunnel(self, upstream: str, protocol: Callable[[], _P]) -> AsyncIterator[_P]:
        """A connection that lives as long as the block, to a target that can be reached. Raises NotSent."""
        balance, tried = self._balances[upstream], list[Target]()
        async with AsyncExitStack() as stack:
            while True:
                target = balance.choose(tried)
                try:
                    opened = await stack.enter_async_context(target.tunnel(protocol))
                    break
                except NotSent:
                    tried.append(target)
                    if not balance.has_other(tried):
                        raise
            yield opened

    def timeouts(self, upstream: str) -> Timeouts:
        """How long to wait for what, in seconds."""
        return self._settings[upstream].timeouts

    def health(self) -> list[TargetStatus]:
        """Every target, in the order of the configuration."""
        now = self._clock.monotonic()
        return [
            TargetStatus(
                name, str(target.endpoint), target.health.state(now), target.outstanding, target.idle, target.health.ejections
            )
            for name, balance in self._balances.items()
            for target in balance.targets
        ]

    async def close(self) -> None:
        """Drop every connection; to be called when the requests in flight have had their time."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        await asyncio.gather(*(target.close() for balance in self._balances.values() for target in balance.targets))


def _balance(upstream: Upstream, clock: Clock) -> Balance:
    tls = tls_context(upstream) if uses_tls(upstream) else None
    endpoints = [Endpoint.of(url, tls, upstream.server_name) for url in upstream.targets]
    health = UpstreamHealth(upstream.health, len(endpoints))
    pairs = zip(endpoints, health.targets, strict=True)
    return Balance([Target(endpoint, upstream, own, clock) for endpoint, own in pairs], upstream.balance, clock)
