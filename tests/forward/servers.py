"""Upstreams of raw sockets: they say exactly what a test has them say, and remember what they were sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.clock import SystemClock
from gateway.forward.pool import OutboundHead, Upstreams
from gateway.settings.schema import Timeouts, Upstream

Handler = Callable[["Peer"], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = OutboundHead("GET", b"/x", [(b"Host", b"a.example")])
POST = OutboundHead("POST", b"/x", [(b"Host", b"a.example")])


@dataclass
class Peer:
    """One connection, seen from the upstream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def gone(self) -> bytes:
        """What still comes until the gateway hangs up."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Server:
    port: int
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    """A server whose every connection is handled by `handler`, and closed when that returns."""
    served = Server(0)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Handler:
    """Answers each request of a connection with the next of `answers`; the last one for ever."""

    async def handle(peer: Peer) -> None:
        for index in range(1_000_000):
            await peer.head()
            await peer.say(answers[min(index, len(answers) - 1)])

    return handle


@asynccontextmanager
async def upstreams(*urls: str, max_connections: int = 8, **timeouts: float) -> AsyncIterator[Upstreams]:
    """One upstream named `u`. `timeouts` in seconds; those not named are long."""
    waits = {name: f"{1000 * timeouts.get(name, 20.0):g}ms" for name in ("connect", "first_byte", "idle")}
    settings = Upstream(targets=urls, max_connections=max_connections, timeouts=Timeouts(**waits))  # type: ignore[arg-type]
    made = Upstreams({"u": settings}, SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def fetch(pool: Upstreams, head: OutboundHead = GET, body: bytes | None = None) -> tuple[int, bytes]:
    response = await pool.send("u", head, body)
    try:
        return response.status, b"".join([piece async for piece in response.chunks()])
    finally:
        await response.aclose()
