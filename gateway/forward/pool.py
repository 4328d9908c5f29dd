"""The upstreams of a configuration, each with its targets and their connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping

from gateway.clock import Clock
from gateway.settings.tls import tls_context, uses_tls
from gateway.settings.upstreams import Upstream

from .balance import Balance
from .exchange import Exchange, NotSent, OutboundHead, Sink, Timings, UpstreamAborted
from .stream import UpstreamResponse
from .target import Endpoint, Target

__all__ = ["NotSent", "OutboundHead", "Timings", "UpstreamAborted", "UpstreamResponse", "Upstreams"]


class Upstreams:
    """`settings` by the upstreams' names. Raises OSError where a file for TLS can't be used."""

    def __init__(self, settings: Mapping[str, Upstream], clock: Clock) -> None:
        self._balances = {name: _balance(upstream, clock) for name, upstream in settings.items()}

    def begin(self, upstream: str, head: OutboundHead, body: bytes | None, sink: Sink, *, streamed: bool = False) -> Exchange:
        """Make an exchange of callbacks; `Exchange.start` sends it. `body` is one that is at hand; a streamed one is written
        piece by piece once `sink.resume_upload` has been called."""
        return Exchange(self._balances[upstream], head, body, sink, streamed=streamed)

    async def send(self, upstream: str, head: OutboundHead, body: AsyncIterable[bytes] | bytes | None) -> UpstreamResponse:
        """Send a request, and wait for the head of its response. The body goes on being sent meanwhile and afterwards, until
        the response is complete. Raises Refused (UPSTREAM_*), and whatever iterating `body` raises."""
        response = UpstreamResponse()
        if body is None or isinstance(body, bytes):
            return await response.opened(self.begin(upstream, head, body, response), None)
        return await response.opened(self.begin(upstream, head, None, response, streamed=True), body)

    def target(self, upstream: str) -> Target:
        """The target that is next in turn, for a tunnel."""
        return self._balances[upstream].choose()

    async def close(self) -> None:
        """Drop every connection; to be called when the requests in flight have had their time."""
        await asyncio.gather(*(target.close() for balance in self._balances.values() for target in balance.targets))


def _balance(upstream: Upstream, clock: Clock) -> Balance:
    tls = tls_context(upstream) if uses_tls(upstream) else None
    endpoints = [Endpoint.of(url, tls, upstream.server_name) for url in upstream.targets]
    return Balance([Target(endpoint, upstream, clock) for endpoint in endpoints], clock)
