from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from gateway.edge.asgi import AsgiServer
from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_INVALID_RESPONSE, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE, Problem, Refused
from gateway.forward.pool import OutboundHead, Upstreams
from gateway.forward.websocket import MAX_MESSAGE, tunnel
from gateway.server import Bound, Listening

from .servers import Peer, serving, upstreams

Serving = Callable[[ServerConnection], Awaitable[None]]
TARGET = "/a%2Fb/;x?q=%7e&&z={1}|2"


class Gateway:
    """A server whose every WebSocket is tunnelled to the upstream."""

    def __init__(self, pool: Upstreams) -> None:
        self._pool = pool
        self.problems: list[Problem] = []
        self.ended = asyncio.Event()
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(name, value) for name, value in scope["headers"] if name not in (b"connection", b"upgrade")]
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        try:
            head = OutboundHead("GET", target, fields)
            refused = await tunnel(scope, receive, send, self._pool, "u", head, {"X-Request-Id": "r1"}, self.count)
        except Refused as error:
            self.problems.append(error.problem)
            await send({"type": "websocket.close"})
            return
        finally:
            self.ended.set()
        if refused is not None:
            fields = list(refused.headers)
            await send({"type": "websocket.http.response.start", "status": refused.status, "headers": fields})
            await send({"type": "websocket.http.response.body", "body": refused.body})

    async def count(self) -> None:
        pass


@asynccontextmanager
async def gateway(*urls: str, **options: float) -> AsyncIterator[Gateway]:
    async with upstreams(*urls, **options) as pool:
        app = Gateway(pool)
        bound = Bound("127.0.0.1", 0)
        listening = Listening(app, AsgiServer(app, 1.0), bound.socket, drain=1)
        app.url = bound.url.replace("http", "ws")
        running = asyncio.create_task(listening.run())
        try:
            yield app
        finally:
            listening.stop()
            await running


@asynccontextmanager
async def between(handler: Serving, **options: object) -> AsyncIterator[tuple[Gateway, list[Request]]]:
    """A gateway in front of a real WebSocket server, and the handshakes that the latter saw."""
    seen: list[Request] = []

    def remember(connection: ServerConnection, request: Request) -> None:
        seen.append(request)

    async with serve(handler, "127.0.0.1", 0, **{"process_request": remember, **options}) as server:  # type: ignore[arg-type]
        port = next(iter(server.sockets)).getsockname()[1]
        async with gateway(f"http://127.0.0.1:{port}") as app:
            yield app, seen


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def closing_of(connection: ClientConnection | ServerConnection) -> tuple[int | None, str | None]:
    with suppress(ConnectionClosed):
        while True:
            await connection.recv()
    return connection.close_code, connection.close_reason


async def test_text_and_bytes_pass_both_ways_unchanged() -> None:
    async with between(echo) as (app, _), connect(app.url) as client:
        for message in ("", "grüß", b"", b"\x00\xff" * 1000, "x" * MAX_MESSAGE):
            await client.send(message)
            assert await client.recv() == message


async def test_the_target_goes_out_byte_for_byte_and_the_headers_with_it() -> None:
    async with between(echo) as (app, seen), connect(app.url + TARGET, origin="https://a.example") as client:  # type: ignore[arg-type]
        assert client.response is not None
        assert client.response.headers["X-Request-Id"] == "r1"
    assert seen[0].path == TARGET
    assert seen[0].headers["Origin"] == "https://a.example"
    assert seen[0].headers.get_all("Sec-WebSocket-Key") != []
    assert "Sec-WebSocket-Extensions" not in seen[0].headers


async def test_another_target_is_tried_where_one_cannot_be_reached() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with gateway("http://127.0.0.1:1", f"http://127.0.0.1:{port}") as app:
            for _ in range(3):
                async with connect(app.url) as client:
                    await client.send("hello")
                    assert await client.recv() == "hello"


async def test_the_upstream_chooses_the_subprotocol() -> None:
    async with (
        between(echo, subprotocols=["b", "c"]) as (app, _),
        connect(app.url, subprotocols=["a", "b"]) as client,  # type: ignore[list-item]
    ):
        assert client.subprotocol == "b"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "moved"), (1011, "broken"), (4000, "own")])
async def test_the_upstreams_close_reaches_the_client(code: int, reason: str) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    async with between(close) as (app, _), connect(app.url) as client:
        assert await closing_of(client) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "tab closed"), (4999, "own")])
async def test_the_clients_close_reaches_the_upstream(code: int, reason: str) -> None:
    closed: asyncio.Future[tuple[int | None, str | None]] = asyncio.get_running_loop().create_future()

    async def wait(connection: ServerConnection) -> None:
        closed.set_result(await closing_of(connection))

    async with between(wait) as (app, _):
        client = await connect(app.url)
        await client.close(code, reason)
        assert await closed == (code, reason)


async def test_a_close_without_a_code_reaches_the_upstream_as_one() -> None:
    closed: asyncio.Future[tuple[int | None, str | None]] = asyncio.get_running_loop().create_future()

    async def wait(connection: ServerConnection) -> None:
        closing = await closing_of(connection)
        assert connection.protocol.close_rcvd is not None  # a frame, not an end without one
        closed.set_result(closing)

    async with between(wait) as (app, _):
        client = await connect(app.url)
        async with client.send_context():
            client.protocol.send_close()
        async with asyncio.timeout(5):
            assert await closed == (1005, "")


async def test_a_client_that_vanishes_ends_the_upstreams_connection() -> None:
    closed = asyncio.Event()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        closed.set()

    async with between(wait) as (app, _):
        client = await connect(app.url)
        client.transport.abort()
        async with asyncio.timeout(5):
            await closed.wait()
            await app.ended.wait()


async def test_an_upstream_that_vanishes_is_no_good_end() -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with between(vanish) as (app, _), connect(app.url) as client:
        assert await closing_of(client) == (1014, "")


async def test_a_message_that_is_too_large_ends_the_tunnel() -> None:
    async def shout(connection: ServerConnection) -> None:
        await connection.send(b"x" * (MAX_MESSAGE + 1))

    async with between(shout) as (app, _), connect(app.url) as client:
        code, _ = await closing_of(client)
        assert code == 1009


async def test_an_upstream_that_refuses_the_upgrade_answers_the_client_itself() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(403, "not you\n")
        response.headers["X-Tenant"] = "globex"
        response.headers["X-Why"] = "because"
        return response

    async with between(echo, process_request=refuse) as (app, _):
        with pytest.raises(InvalidStatus) as caught:
            await connect(app.url)
    response = caught.value.response
    assert (response.status_code, response.body) == (403, b"not you\n")
    assert response.headers["X-Why"] == "because"
    assert "X-Tenant" not in response.headers


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", UPSTREAM_CLOSED),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", UPSTREAM_INVALID_RESPONSE),
        (b"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n", UPSTREAM_INVALID_RESPONSE),
    ],
)
async def test_a_handshake_that_is_none_is_refused(answer: bytes, problem: Problem) -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)
        peer.writer.write_eof()
        await peer.gone()

    async with serving(handle) as server, gateway(server.url) as app:
        with pytest.raises(InvalidStatus):
            await connect(app.url)
        assert app.problems == [problem]


async def test_an_upstream_that_cannot_be_had_in_time_is_told_apart() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with serving(handle) as server, gateway(server.url, first_byte=0.05) as app:
        with pytest.raises(InvalidStatus):
            await connect(app.url)
        assert app.problems == [UPSTREAM_TIMEOUT]
    async with gateway("http://127.0.0.1:1") as app:
        with pytest.raises(InvalidStatus):
            await connect(app.url)
        assert app.problems == [UPSTREAM_UNREACHABLE]


async def test_a_client_that_does_not_read_stops_the_upstream() -> None:
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        while True:
            await connection.send(b"x" * (256 << 10))
            sent += 256 << 10

    async with between(flood) as (app, _), connect(app.url, max_queue=1, compression=None) as client:
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 16 << 20
        client.transport.abort()
