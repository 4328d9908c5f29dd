"""Load over keep-alive connections, in bytes that were made before: so cheap that it is not what is measured."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self, cast

_END, _LENGTH = b"\r\n\r\n", b"content-length: "
_TICK = 0.002


class UnexpectedAnswer(Exception):
    """What came back is no answer that a figure can be made of."""


@dataclass
class Answers:
    """How often each status came, and how long each answer took, in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        return sorted(self.took)[min(int(share * len(self.took)), len(self.took) - 1)]


class Load:
    """`requests` are sent in their order, each on the first connection that is free, as soon as it is due.

    Used as an asynchronous context manager, which makes the connections. They are kept from one run to the next.
    """

    def __init__(self, url: str, connections: int) -> None:
        _, _, authority = url.partition("//")
        host, _, port = authority.rpartition(":")
        self._address = host, int(port)
        self._connections = [_Connection(self) for _ in range(connections)]
        self._idle: list[_Connection] = []
        self._requests: Iterator[bytes] = iter(())
        self._sent, self._due = 0, 0.0
        self._connecting: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._failure: UnexpectedAnswer | None = None
        self.answers = Answers()

    async def __aenter__(self) -> Self:
        for connection in self._connections:
            await self._connect(connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in self._connections:
            connection.close()

    async def run(self, requests: Iterable[bytes], rate: float = math.inf, patience: float = 60) -> Answers:
        """Answers to all of `requests`, of which `rate` a second are due; infinite: all at once.

        Raises UnexpectedAnswer, also where nothing has come for `patience` seconds.
        """
        await asyncio.gather(*self._connecting)
        self._requests, self._sent, self.answers = iter(requests), 0, Answers()
        self._failure, self._idle = None, []
        self._ended.clear()
        pacing = asyncio.create_task(self._pace(rate))
        self._due = math.inf if rate == math.inf else 0.0
        for connection in self._connections:
            self.next(connection)
        try:
            while not self._ended.is_set():
                seen = len(self.answers.took)
                try:
                    async with asyncio.timeout(patience):
                        await self._ended.wait()
                except TimeoutError:
                    if len(self.answers.took) == seen:
                        raise UnexpectedAnswer(f"no answer has come for {patience:g} s") from None
        finally:
            pacing.cancel()
        if self._failure is not None:
            raise self._failure
        return self.answers

    def next(self, connection: _Connection) -> None:
        """The connection is free."""
        if self._sent < self._due and self._failure is None:
            request = next(self._requests, None)
            if request is not None:
                self._sent += 1
                connection.send(request)
                return
            self._due = -1.0
        self._idle.append(connection)
        if len(self._idle) == len(self._connections) and (self._due < 0 or self._failure is not None):
            self._ended.set()

    def closed(self, connection: _Connection) -> None:
        """The gateway did not want an unused connection any longer, which it may: there will be another."""
        if connection in self._idle:
            self._idle.remove(connection)
        task = asyncio.create_task(self._connect_again(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def fail(self, reason: str) -> None:
        self._failure = self._failure or UnexpectedAnswer(reason)
        self._ended.set()

    async def _connect(self, connection: _Connection) -> None:
        await asyncio.get_running_loop().create_connection(lambda: connection, *self._address)

    async def _connect_again(self, connection: _Connection) -> None:
        try:
            await self._connect(connection)
        except OSError as error:
            self.fail(f"the gateway can't be reached any longer ({error})")
        else:
            self.next(connection)

    async def _pace(self, rate: float) -> None:
        if rate == math.inf:
            return
        loop = asyncio.get_running_loop()
        start = loop.time()
        while self._due >= 0:
            self._due = (loop.time() - start) * rate
            free, self._idle = self._idle, []
            for connection in free:
                self.next(connection)
            await asyncio.sleep(_TICK)


class _Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self._busy = self._closing = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by name.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy:
            self._load.fail(f"the gateway has closed a connection before it answered ({error or 'without a fault'})")
        elif not self._closing:
            self._load.closed(self)

    def send(self, request: bytes) -> None:
        self._busy = True
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        self._closing = True
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END)
        if not end:
            return
        _, named, value = head.lower().partition(_LENGTH)
        if not named:
            self._load.fail("an answer came without Content-Length")
        elif len(body) >= int(value.partition(b"\r\n")[0]):
            self._received, self._busy = b"", False
            self._load.answers.statuses[int(head[9:12])] += 1
            self._load.answers.took.append(time.perf_counter() - self._sent_at)
            self._load.next(self)
