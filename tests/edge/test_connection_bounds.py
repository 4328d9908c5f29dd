"""What clients can make the server keep, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest
from starlette.types import Receive, Scope, Send

from gateway.edge import connection
from gateway.edge.hygiene import HeaderRules
from gateway.edge.websocket import GatewayWebSocket
from tests.edge.test_connection import serving

ASK = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 64 << 20


async def files(scope: Scope, receive: Receive, send: Send) -> None:
    """/small answers 400 KiB at once; /big streams 64 MiB, as fast as it is let."""
    if scope["path"] == "/small":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"409600")]})
        await send({"type": "http.response.body", "body": b"s" * 409600})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64):
        await send({"type": "http.response.body", "body": b"b" * (1 << 20), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def test_a_big_answer_behind_small_ones_waits_for_its_reader() -> None:
    async with serving(files, body_idle=60) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ASK * 20 + b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(1.5)
        held = connections[0].transport.get_write_buffer_size()
        connections[0].transport.abort()
        assert held < 4 << 20, held


async def test_one_who_asks_ahead_and_reads_nothing_is_not_answered_without_end() -> None:
    async with serving(files, body_idle=60) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ASK * 200)
        await asyncio.sleep(1.5)
        held = connections[0].transport.get_write_buffer_size()
        connections[0].transport.abort()
        assert held < 4 << 20, held


async def test_one_who_asks_ahead_and_reads_nothing_is_dropped_in_time() -> None:
    async with serving(files, body_idle=0.2) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ASK * 30)
        await asyncio.sleep(2)
        lost = connections[0]._closed
        connections[0].transport.abort()
        assert lost


async def test_one_who_reads_nothing_of_the_last_answer_is_dropped_in_time() -> None:
    big = ASK.replace(b"/small", b"/big").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    async def six(scope: Scope, receive: Receive, send: Send) -> None:
        body = b"b" * (8 << 20)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async with serving(six, body_idle=0.2) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(big)
        await asyncio.sleep(2)
        lost, _held = connections[0]._closed, connections[0].transport.get_write_buffer_size()
        connections[0].transport.abort()
        assert lost


async def test_a_kept_connection_with_an_unread_rest_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is below the high-water mark, so that writing was never paused."""
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.3)

    async def some(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
        await send({"type": "http.response.body", "body": b"s" * 100000})

    async with serving(some, body_idle=0.2) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            writer.write(ASK)
            await asyncio.sleep(0.01)
            if connections[0].transport.get_write_buffer_size():
                break
        await asyncio.sleep(2)
        _held, lost = connections[0].transport.get_write_buffer_size(), connections[0]._closed
        connections[0].transport.abort()
        assert lost


HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


@pytest.mark.parametrize(
    ("target", "more"),
    [
        (b"/" + b"a" * 9000, b""),
        (b"/", b"".join(b"x-%d: y\r\n" % n for n in range(150))),
        (b"/", b"bad name: x\r\n"),
        (b"/", b": x\r\n"),
    ],
    ids=["long target", "many headers", "no token", "no name"],
)
async def test_a_handshake_that_the_library_does_not_take_is_refused(
    monkeypatch: pytest.MonkeyPatch, target: bytes, more: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.3)
    from uvicorn.config import Config

    real = Config.__init__

    def init(self: Config, *a: object, **k: object) -> None:
        real(self, *a, **{**k, "ws": GatewayWebSocket})  # type: ignore[arg-type]
        self.load()

    monkeypatch.setattr(Config, "__init__", init)
    async with serving(files) as (reader, writer, _connections):
        writer.write(HANDSHAKE % (target, more))
        got = await asyncio.wait_for(reader.read(), 3)
        assert got


async def test_a_request_that_an_application_has_at_the_end_is_answered() -> None:
    from gateway.edge.answer import Answer
    from gateway.errors import SHUTTING_DOWN, Refused

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await Answer(scope, send, "id").refuse(Refused(SHUTTING_DOWN), {})

    async with serving(slow) as (reader, writer, connections):
        writer.write(ASK)
        await asyncio.sleep(0.1)
        connections[0].shutdown()
        for task in connections[0].server_state.tasks:
            task.cancel()
        connections[0].expire()
        got = await asyncio.wait_for(reader.read(), 3)
        assert got.startswith(b"HTTP/1.1 503 "), got


def test_long_names_of_headers_are_not_remembered() -> None:
    rules = HeaderRules()
    for n in range(4000):
        with contextlib.suppress(Exception):
            rules.check([(b"host", b"a"), (b"x%d" % n + b"a" * 60_000, b"")])
    held = sum(sys.getsizeof(name) + sys.getsizeof(text) for name, (text, _) in rules._names.items())
    assert held < 1 << 20
