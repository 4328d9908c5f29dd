"""Upstreams of raw sockets: they say exactly what a test has them say, and remember what they were sent."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.clock import SystemClock
from gateway.errors import Problem, Refused
from gateway.forward.pool import OutboundHead, Upstreams
from gateway.settings.upstreams import Upstream

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

    def cut_off(self) -> None:
        """End the TCP connection alone, as somebody between could: TLS is not told."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """End the connection by a TCP reset."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
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
async def serving(handler: Handler, tls: Path | None = None) -> AsyncIterator[Server]:
    """A server whose every connection is handled by `handler`, and closed when that returns. `tls`: key and certificate."""
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

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
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
async def upstreams(
    *urls: str, connect: float = 20.0, first_byte: float = 20.0, idle: float = 20.0, **keys: object
) -> AsyncIterator[Upstreams]:
    """One upstream named `u`. Timeouts in seconds; `keys` as in gateway.yaml."""
    waits = {"connect": connect, "first_byte": first_byte, "idle": idle}
    timeouts = {name: f"{1000 * seconds:g}ms" for name, seconds in waits.items()}
    settings = Upstream.model_validate({"targets": urls, "max_connections": 8, "timeouts": timeouts, **keys})
    made = Upstreams({"u": settings}, SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def fetch(
    pool: Upstreams, head: OutboundHead = GET, body: AsyncIterable[bytes] | bytes | None = None
) -> tuple[int, bytes]:
    response = await pool.send("u", head, body)
    try:
        return response.answer.status, b"".join([piece async for piece in response.chunks()])
    finally:
        await response.aclose()


async def refusal_of(pool: Upstreams, head: OutboundHead = GET, body: bytes | None = None) -> Problem:
    with pytest.raises(Refused) as caught:
        await fetch(pool, head, body)
    return caught.value.problem


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def certificate(path: Path, name: str) -> Path:
    """A file with a key and a certificate that vouches for itself."""
    key, subject = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, None)
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + signed.public_bytes(Encoding.PEM))
    return path
