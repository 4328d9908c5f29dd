"""Both ends of the gateway without sockets: what it writes stays in memory, and what it reads is handed to it.

The seam is the event loop, which is where asyncio has connections made: nothing of the gateway is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.app import Gateway
from gateway.edge.connection import ClientConnection

UPSTREAM = ("127.0.0.1", 9)
_BODY = b'{"filler":"' + b"x" * (1024 - 13) + b'"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%b" % (len(_BODY), _BODY)
)
_GOOD = b"HTTP/1.1 200 OK\r\n"


class Refused(Exception):
    """The gateway did not answer 200; the text is what it said."""


class MemoryTransport(asyncio.Transport):
    """`written`: what came from the gateway and was not taken away yet."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 80)})
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class Upstream:
    """Answers a KiB of JSON, over as many connections as the gateway makes."""

    def __init__(self) -> None:
        self._connections: list[tuple[asyncio.Protocol, MemoryTransport]] = []

    def connect(self, protocol: asyncio.Protocol) -> MemoryTransport:
        transport = MemoryTransport()
        protocol.connection_made(transport)
        self._connections.append((protocol, transport))
        return transport

    def answer(self) -> None:
        """Whatever has been asked since."""
        for protocol, transport in self._connections:
            if transport.written:
                transport.written.clear()
                protocol.data_received(_ANSWER)


class MemoryLoop(uvloop.Loop):
    """The event loop of the product, but that a connection to UPSTREAM leads to `upstream`."""

    def __init__(self) -> None:
        self.upstream = Upstream()

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **options: Any
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        if (host, port) != UPSTREAM:
            return await super().create_connection(factory, host, port, **options)  # type: ignore[return-value]
        protocol = factory()
        return self.upstream.connect(protocol), protocol


class Client:
    """A connection of a client. Made within a `MemoryLoop` that runs."""

    def __init__(self, gateway: Gateway) -> None:
        self._upstream = cast(MemoryLoop, asyncio.get_running_loop()).upstream
        self._connection = ClientConnection(gateway.express, Config(gateway.public, lifespan="off"), ServerState(), {})
        self._transport = MemoryTransport()
        self._connection.connection_made(self._transport)

    def ask(self, request: bytes) -> bool:
        """Whether the answer came at once. Where it did not, `wait` for it. Raises Refused."""
        written = self._transport.written
        written.clear()
        self._connection.data_received(request)
        self._upstream.answer()
        if not written:
            return False
        self._check()
        return True

    async def wait(self) -> None:
        """Until the answer has come that `ask` did not bring. Raises Refused."""
        while not self._transport.written:
            await asyncio.sleep(0)
            self._upstream.answer()
        self._check()

    def _check(self) -> None:
        if not self._transport.written[0].startswith(_GOOD):
            raise Refused(b"".join(self._transport.written).decode("latin-1"))
