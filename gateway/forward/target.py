"""One address of an upstream, and the connections to it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import uniform
from typing import TypeVar

from gateway.clock import Clock
from gateway.errors import SHUTTING_DOWN, UPSTREAM_BUSY, UPSTREAM_CLOSED, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE, Refused
from gateway.settings.upstreams import Upstream

from .connection import UpstreamConnection
from .endpoint import Endpoint
from .exchange import Exchange, NotSent
from .health import TargetHealth

MAX_WAITING = 4096
"""Requests that wait for a connection to one target; beyond, they are refused at once."""

_NO_CONNECTION = "No connection to the upstream was to be had in time."
_SPREAD = 0.2
_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_log = logging.getLogger("tenantgate.upstream")


class Target:
    """Lends connections: the one used last first, so that those too many grow old and are closed; a new one up to
    `max_connections`; else the exchange waits its turn, no longer than a connection may take to be made."""

    def __init__(self, endpoint: Endpoint, settings: Upstream, health: TargetHealth, clock: Clock) -> None:
        self.endpoint = endpoint
        self.health = health
        self.timeouts = settings.timeouts
        self._settings = settings
        self._clock = clock
        self._connections: set[UpstreamConnection] = set()
        self._idle: dict[UpstreamConnection, None] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: OrderedDict[Exchange, asyncio.TimerHandle] = OrderedDict()
        self._tunnels = 0
        self._keep_alive = settings.keep_alive
        self._counts_5xx = settings.health.passive.count_5xx
        self._is_closed = False

    @property
    def outstanding(self) -> int:
        """Exchanges that run or wait here, and tunnels."""
        return len(self._connections) - len(self._idle) + len(self._waiting) + self._tunnels

    @property
    def idle(self) -> int:
        """Connections that wait for their next exchange."""
        return len(self._idle)

    def acquire(self, exchange: Exchange, *, fresh: bool = False) -> None:
        """Begin the exchange on a connection, now or later, or call `exchange.unreachable`. `fresh`: on a new connection."""
        if not fresh:
            while self._idle:
                connection, _ = self._idle.popitem()
                if connection.is_usable:
                    connection.begin(exchange)
                    return
                connection.drop()
        elif self._idle and self._is_full():
            next(iter(self._idle)).drop()
        if self._is_closed:
            exchange.unreachable(Refused(SHUTTING_DOWN, retry_after=1))
            return
        if len(self._waiting) >= MAX_WAITING:
            exchange.unreachable(Refused(UPSTREAM_BUSY, retry_after=1))
            return
        loop = asyncio.get_running_loop()
        self._waiting[exchange] = loop.call_later(self.timeouts.connect, self._give_up, exchange)
        self._connect_for_waiting()

    def forget(self, exchange: Exchange) -> None:
        """The exchange doesn't wait any more. A connection that is being made for it will serve another one."""
        timer = self._waiting.pop(exchange, None)
        if timer is not None:
            timer.cancel()

    async def close(self) -> None:
        """Drop everything; to be called when the requests that are in flight have had their time."""
        self._is_closed = True
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        while self._waiting:
            self._next_waiting().unreachable(Refused(SHUTTING_DOWN, retry_after=1))
        for connection in list(self._connections):
            connection.drop()

    @asynccontextmanager
    async def tunnel(self, protocol: Callable[[], _P]) -> AsyncIterator[_P]:
        """A connection that lives as long as the block, beside the pool: at most `max_connections` of them. Raises NotSent."""
        if self._tunnels >= self._settings.max_connections:
            raise NotSent(UPSTREAM_BUSY, retry_after=1)
        self._tunnels += 1
        try:
            yield await self._open(protocol)
        finally:
            self._tunnels -= 1

    async def connect(self, protocol: Callable[[], _P]) -> _P:
        """A connection of the caller's own, of which nothing is counted here. Raises OSError and UnicodeError."""
        endpoint = self.endpoint
        loop = asyncio.get_running_loop()
        _, opened = await loop.create_connection(
            protocol, endpoint.host, endpoint.port, ssl=endpoint.tls, server_hostname=endpoint.server_name
        )
        return opened

    async def _open(self, protocol: Callable[[], _P]) -> _P:
        """Raises NotSent."""
        try:
            async with asyncio.timeout(self.timeouts.connect):
                opened = await self.connect(protocol)
        except (OSError, UnicodeError) as error:
            self._unreachable(f"{type(error).__name__}: {error}")
            if isinstance(error, TimeoutError):
                raise NotSent(UPSTREAM_TIMEOUT, _NO_CONNECTION) from error
            raise NotSent(UPSTREAM_UNREACHABLE) from error
        self.health.reached()
        return opened

    # What is learnt of its health

    def answered(self, status: int) -> None:
        if status >= 500 and self._counts_5xx:
            self.let_down(f"It answered {status}.")
        elif self.health.failures:
            self.health.succeeded()

    def let_down(self, why: str) -> None:
        if not self.health.failures:  # the first in a row; the log of requests has them all, but not by target
            _log.warning("%s failed a request: %s", self.endpoint, why)
        self._left_out(self.health.failed(self._clock.monotonic()))

    def checked(self, why: str) -> None:
        """A check has ended; `why` it failed, empty where it did not."""
        if not self.health.checked(not why):
            return
        if why:
            _log.warning("%s is left out: it fails its checks: %s", self.endpoint, why)
        else:
            _log.info("%s is back: it passes its checks", self.endpoint)

    def _unreachable(self, why: str) -> None:
        now = self._clock.monotonic()
        if self.health.is_fit(now):  # an outage is told once, not with every request
            _log.warning("cannot connect to %s: %s", self.endpoint, why)
        self._left_out(self.health.unreachable(now))

    def _left_out(self, seconds: float) -> None:
        if seconds:
            _log.warning("%s is left out for %gs: %d failures in a row", self.endpoint, seconds, self.health.failures)

    # Called by connections

    def released(self, connection: UpstreamConnection) -> None:
        if not self._waiting:
            self._idle[connection] = None
            connection.rest(self._keep_alive)
        elif connection.is_usable:
            connection.begin(self._next_waiting())
        else:
            connection.drop()

    def closed(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        self._idle.pop(connection, None)
        self._connect_for_waiting()

    # Making connections

    def _is_full(self) -> bool:
        return len(self._connections) + len(self._connecting) >= self._settings.max_connections

    def _next_waiting(self) -> Exchange:
        exchange, timer = self._waiting.popitem(last=False)
        timer.cancel()
        return exchange

    def _connect_for_waiting(self) -> None:
        while len(self._connecting) < len(self._waiting) and not (self._is_full() or self._is_closed):
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connected)

    async def _connect(self) -> None:
        started = self._clock.monotonic()
        connection = await self._open(partial(UpstreamConnection, self, self.timeouts, self._clock))
        if not connection.is_usable:
            raise NotSent(UPSTREAM_CLOSED, "The upstream closed the connection before anything was sent.")
        self._connections.add(connection)
        connection.retire_in(shortened(self._settings.lifetime))
        if self._waiting:
            next(iter(self._waiting)).connect = self._clock.monotonic() - started
        self.released(connection)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._waiting:
            refused = error if isinstance(error, Refused) else Refused(UPSTREAM_UNREACHABLE)
            self._next_waiting().unreachable(refused)
        self._connect_for_waiting()

    def _give_up(self, exchange: Exchange) -> None:
        self.forget(exchange)
        if self._connections and self._is_full():
            exchange.unreachable(Refused(UPSTREAM_BUSY, retry_after=1))
        else:
            exchange.unreachable(Refused(UPSTREAM_TIMEOUT, _NO_CONNECTION))


def shortened(seconds: float) -> float:
    """Up to a fifth less, by chance, so that what began together does not end together."""
    return seconds * uniform(1 - _SPREAD, 1)  # noqa: S311
