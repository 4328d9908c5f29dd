from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.edge import connection
from gateway.edge.answer import Answer
from gateway.edge.asgi import AsgiServer
from gateway.edge.body import Body
from gateway.edge.request import told


async def walk(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses what is broken, as the walk does, and greets everybody else."""
    answer, known = Answer(scope, send, "request-id"), told(scope)
    answer.request_body = Body(receive, 0, 1)
    if known is not None and known.fault is not None:
        await answer.refuse(known.fault, {})
    else:
        await answer.start(200, [(b"content-length", b"2")], {})
        await answer.body(b"hi", more=False)


Served = tuple[asyncio.StreamReader, asyncio.StreamWriter, list[connection.ClientConnection]]


@asynccontextmanager
async def serving(app: ASGIApp = walk, body_idle: float = 1.0) -> AsyncIterator[Served]:
    """A client's end of a connection, and the server's."""
    config, state = Config(app, lifespan="off", interface="asgi3", log_config=None, proxy_headers=False), ServerState()
    connections: list[connection.ClientConnection] = []

    def accept() -> connection.ClientConnection:
        connections.append(connection.ClientConnection(AsgiServer(app, body_idle), config, state, {}))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer, connections
    finally:
        writer.close()
        server.close()


async def talk(*pieces: bytes, app: ASGIApp = walk, body_idle: float = 1.0) -> bytes:
    """What a client gets that sends these and then waits until the server closes."""
    async with serving(app, body_idle) as (reader, writer, _):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)


async def test_a_head_that_does_not_come_in_time_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.3)
    received = await talk(b"GET / HTTP/1.1\r\nHost: a")
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in received
    assert b'"REQUEST_TIMEOUT"' in received


@pytest.mark.parametrize("beginning", [b"", b"\r\n\r\n"])
async def test_a_connection_on_which_nothing_is_asked_is_closed_silently(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.3)
    assert await talk(beginning) == b""


async def test_a_second_head_on_a_connection_is_timed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.3)
    received = await talk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo", b"s")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in received


async def test_a_head_in_single_bytes_is_one_request() -> None:
    whole = b"GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    received = await talk(*(whole[n : n + 1] for n in range(len(whole))))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 ") == 1


async def test_a_kept_connection_may_ask_once_more_after_the_end_was_announced() -> None:
    asking = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving() as (reader, writer, connections):
        writer.write(asking)
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200 ")
        (kept,) = connections
        kept.shutdown()
        writer.write(asking)
        last = await asyncio.wait_for(reader.read(), 10)
        assert last.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in last


async def test_a_kept_connection_that_asks_no_more_is_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LAST_CALL", 0.01)
    async with serving() as (reader, writer, connections):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hi")
        connections[0].shutdown()
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_what_was_asked_ahead_is_answered_in_its_order() -> None:
    asking = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(2000))
    received = await talk(asking + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert received.count(b"HTTP/1.1 200 ") == 2001


async def test_a_body_that_is_complete_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a client timed that waits for its answer."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer(scope, send, "request-id")
        answer.request_body = Body(receive, None, 1)
        assert [piece async for piece in answer.request_body.chunks()] == [b"abc"]
        await asyncio.sleep(0.3)
        await answer.start(200, [(b"content-length", b"2")], {})
        await answer.body(b"hi", more=False)

    posting = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"hi" in await talk(posting, b"3\r\nabc\r\n", b"0\r\n\r\n", app=slow, body_idle=0.1)
