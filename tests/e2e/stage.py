"""An upstream that the test plays itself, and clients beside it: both as bytes on connections, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit
from uuid import uuid4

from .stack import Customer, GatewayProcess

PATIENCE = 20.0  # seconds, for what should take none
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_LINE = 1 << 20


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """One end of a connection, as bytes; of the upstream's end, `head` is the request's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = b"") -> None:
        self._reader, self._writer, self.head = reader, writer, head

    @property
    def port(self) -> int:
        """Of this end."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(end)

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readexactly(size)

    async def chunks(self) -> AsyncIterator[bytes]:
        """A chunked body to its end. Raises asyncio.IncompleteReadError where it breaks off."""
        while size := int(await self.until(b"\r\n"), 16):
            yield (await self.exactly(size + 2))[:-2]
        assert await self.exactly(2) == b"\r\n"

    async def rest(self) -> bytes:
        """What still comes before the other end closes; nothing more after a reset."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self._writer.close()

    def drop(self) -> None:
        self._writer.transport.abort()


class Stage:
    """The upstream. Requests below /…/now/ are answered at once; each other waits for what the test does with it."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Connection] = asyncio.Queue()
        self._open: list[Connection] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self._open.append(connection)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            connection.head = await reader.readuntil(b"\r\n\r\n")
            if b"/now/" in connection.head.partition(b"\r\n")[0]:
                await connection.say(OK)
                writer.close()
            else:
                self._calls.put_nowait(connection)

    async def next(self) -> Connection:
        async with asyncio.timeout(PATIENCE):
            return await self._calls.get()

    def close(self) -> None:
        for connection in self._open:
            connection.drop()


@asynccontextmanager
async def asking(
    gateway: GatewayProcess, customer: Customer, path: str, method: str = "GET", framing: str = ""
) -> AsyncIterator[Connection]:
    """A client whose request's head is under way. Its connection is gone at the end."""
    fields = {"Host": urlsplit(gateway.public_url).netloc, **customer.bearer()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), framing]
    async with connected(gateway, "\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n") as client:
        yield client


@asynccontextmanager
async def connected(gateway: GatewayProcess, *said: bytes) -> AsyncIterator[Connection]:
    """A client whose bytes are its own. Its connection is gone at the end."""
    address = urlsplit(gateway.public_url)
    client = Connection(*await asyncio.open_connection(address.hostname, address.port, limit=_LINE))
    try:
        await client.say(*said)
        yield client
    finally:
        client.drop()


async def is_admitted(gateway: GatewayProcess, customer: Customer) -> bool:
    """Whether a request to the route of one slot passes."""
    async with asking(gateway, customer, f"/single/now/{uuid4().hex}") as client:
        head = await client.until(b"\r\n\r\n")
        if b" 429 " in head.partition(b"\r\n")[0]:
            assert b"CONCURRENCY_LIMITED" in await client.until(b"}")
            return False
        assert head.startswith(b"HTTP/1.1 200 ")
        return True


async def comes_back(gateway: GatewayProcess, customer: Customer) -> None:
    """The slot is free again within a second, long before a lease would end."""
    async with asyncio.timeout(1):
        while not await is_admitted(gateway, customer):
            pass
