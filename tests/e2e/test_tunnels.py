"""WebSockets through the gateway, to a real server of them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from .stack import Customer, GatewayProcess
from .stage import PATIENCE, Stage, comes_back, is_admitted
from .wire import eventually

Handle = Callable[[ServerConnection], Awaitable[None]]


def tunnel(gateway: GatewayProcess, headers: dict[str, str], path: str = "/api/socket", *subprotocols: str) -> connect:
    url = gateway.public_url.replace("http", "ws") + path
    offered = [Subprotocol(name) for name in subprotocols] or None
    return connect(url, additional_headers=headers, subprotocols=offered, proxy=None, open_timeout=PATIENCE)


@asynccontextmanager
async def websockets_at(door: socket.socket, handle: Handle, **options: object) -> AsyncIterator[list[Request]]:
    """A real WebSocket server as the upstream, and the handshakes that it has seen."""
    seen: list[Request] = []

    def remember(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(request)
        if request.path.startswith("/single/now/"):
            return connection.respond(200, "ok")
        return None

    async with serve(handle, sock=door.dup(), **{"process_request": remember, **options}):  # type: ignore[arg-type]
        yield seen


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def closing_of(connection: ClientConnection | ServerConnection) -> tuple[int | None, str | None]:
    with suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE):
            while True:
                await connection.recv()
    return connection.close_code, connection.close_reason


async def test_messages_pass_both_ways_under_the_caller_s_identity(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    forged = {"X-Tenant-Schema": "public", "X-Gateway-Identity": "forged"}
    async with (
        websockets_at(door, echo) as seen,
        tunnel(patient, customer.bearer() | forged, "/api/socket?a=%20b") as client,
    ):
        for message in ("grüß", b"\x00\xff", "", "x" * (1 << 20)):
            await client.send(message)
            assert await client.recv() == message
    (handshake,) = seen
    assert handshake.path == "/api/socket?a=%20b"
    headers = handshake.headers
    assert headers.get_all("X-Tenant") == [customer.slug]
    assert headers.get_all("X-Tenant-Schema") == [customer.slug.replace("-", "_")]
    assert "Authorization" not in headers
    (token,) = headers.get_all("X-Gateway-Identity")
    keys = jwt.PyJWKSet.from_dict(patient.public.get("/.well-known/jwks.json").json())
    claims = jwt.decode(token, keys.keys[0], algorithms=["EdDSA"], audience="recorder", issuer="tenantgate")
    assert (claims["tenant"], claims["htm"], claims["htu"]) == (customer.slug, "GET", "/api/socket")

    def lines() -> list[tuple[object, ...]]:
        return [(line["status"], line["code"], line["path"]) for line in patient.log if line.get("tenant") == customer.slug]

    assert eventually(lines, within=5)
    assert lines() == [(101, "OK", "/api/socket")]


async def test_the_upstream_chooses_among_the_subprotocols(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    chosen = [Subprotocol("chat.v2")]
    async with (
        websockets_at(door, echo, subprotocols=chosen),
        tunnel(patient, customer.bearer(), "/api/socket", "chat.v1", "chat.v2") as client,
    ):
        assert client.subprotocol == "chat.v2"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "broken"), (4321, "own")])
async def test_either_side_s_close_reaches_the_other(
    patient: GatewayProcess, customer: Customer, door: socket.socket, code: int, reason: str
) -> None:
    closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        if await connection.recv() == "close":
            await connection.close(code, reason)
        else:
            closed.put_nowait(await closing_of(connection))

    async with websockets_at(door, handle):
        async with tunnel(patient, customer.bearer()) as client:
            await client.send("close")
            assert await closing_of(client) == (code, reason)
        async with tunnel(patient, customer.bearer()) as client:
            await client.send("wait")
            await client.close(code, reason)
            async with asyncio.timeout(PATIENCE):
                assert await closed.get() == (code, reason)


async def test_an_upgrade_that_the_upstream_refuses_is_refused_with_its_answer(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(418, "short and stout")

    async with websockets_at(door, echo, process_request=refuse):
        with pytest.raises(InvalidStatus) as refused:
            await tunnel(patient, customer.bearer())
    response = refused.value.response
    assert (response.status_code, response.body) == (418, b"short and stout")
    assert response.headers["X-Request-Id"]


async def test_an_upstream_that_dies_within_the_handshake_is_502(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async def die() -> None:
        (await stage.next()).drop()

    dying = asyncio.create_task(die())
    with pytest.raises(InvalidStatus) as refused:
        await tunnel(patient, customer.bearer())
    await dying
    assert refused.value.response.status_code == 502


async def test_who_sends_no_credential_is_refused_before_the_upgrade(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async with websockets_at(door, echo) as seen:
        for headers, code in (({}, "MISSING"), ({**customer.bearer(), "X-Tenant": "somebody-else"}, "TENANT_MISMATCH")):
            with pytest.raises(InvalidStatus) as refused:
                await tunnel(patient, headers)
            response = refused.value.response
            problem = json.loads(response.body or b"")
            assert response.status_code == problem["status"] == 401
            assert problem["code"].endswith(code)
            assert response.headers["Content-Type"] == "application/problem+json"
            assert response.headers["X-Request-Id"] == problem["request_id"]
    assert seen == []


async def test_a_tunnel_holds_its_slot_until_it_is_closed(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async with websockets_at(door, echo):
        async with tunnel(patient, customer.bearer(), "/single/socket") as client:
            await client.send("there")
            assert await client.recv() == "there"
            assert not await is_admitted(patient, customer)
            with pytest.raises(InvalidStatus, match="429"):
                await tunnel(patient, customer.bearer(), "/single/socket")
        await comes_back(patient, customer)


async def test_a_client_that_vanishes_ends_the_upstream_s_tunnel_and_gives_its_slot_back(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    closed = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.send("there")
        await connection.wait_closed()
        closed.set()

    async with websockets_at(door, handle):
        client = await tunnel(patient, customer.bearer(), "/single/socket")
        assert await client.recv() == "there"
        client.transport.abort()
        async with asyncio.timeout(1):
            await closed.wait()
        await comes_back(patient, customer)


async def test_an_upstream_that_vanishes_is_no_good_end_for_the_client(
    patient: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with websockets_at(door, vanish), tunnel(patient, customer.bearer(), "/single/socket") as client:
        code, _ = await closing_of(client)
        assert code not in (1000, 1005)
        await comes_back(patient, customer)
