"""Last answers, and what may follow them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from starlette.types import Receive, Scope, Send

from gateway.edge import connection
from tests.edge.test_connection import serving


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a body of 8 MiB without reading the request's."""
    body = b"b" * (8 << 20)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def test_a_slow_reader_of_the_last_words_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER", 0.5)
    async with serving(half, body_idle=0.3) as (reader, writer, connections):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        await asyncio.sleep(0.2)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        got = 0
        async with asyncio.timeout(2):
            while piece := await reader.read(1 << 16):
                got += len(piece)
        await asyncio.sleep(2)
        closed = connections[0]._closed
        connections[0].transport.abort()
        assert closed


async def test_empty_lines_do_not_keep_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.4)

    async def tiny(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})

    async with serving(tiny) as (reader, writer, connections):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hi")
        for _ in range(10):
            await asyncio.sleep(0.2)
            writer.write(b"\r\n")
        assert connections[0]._closed


async def test_an_answer_of_another_length_than_was_said_never_leaves() -> None:
    async def longer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hiHTTP/1.1 200 OK\r\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serving(longer) as (reader, writer, _connections):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        with contextlib.suppress(ConnectionError):
            got = await asyncio.wait_for(reader.read(), 2)
        assert b"hiHTTP" not in got, got
