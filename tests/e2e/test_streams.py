"""What lasts: streams, tunnels, bodies that are larger than anybody's memory. The test is the upstream, and says each piece."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from .stack import Customer, GatewayProcess, environment, provision

PATIENCE = 20.0  # seconds, for what should take none
MEGABYTE = 1 << 20
HUNDRED = 100 * MEGABYTE
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
Handle = Callable[[ServerConnection], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """One end of a connection, as bytes; of the upstream's end, `head` is the request's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = b"") -> None:
        self._reader, self._writer, self.head = reader, writer, head

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


@pytest.fixture(scope="module")
def door() -> Iterator[socket.socket]:
    """Where the upstream listens, whoever serves there: the gateway knows one address, each test has its own event loop."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door


@pytest.fixture(scope="module")
def gateway(launch: Callable[..., GatewayProcess], door: socket.socket) -> GatewayProcess:
    patient = {f"TENANTGATE__UPSTREAMS__RECORDER__TIMEOUTS__{name}": f"{PATIENCE}s" for name in ("FIRST_BYTE", "IDLE")}
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    return launch(url, {**environment(), **patient}, f"e2e-{uuid4().hex[:8]}")


@pytest.fixture
def customer(gateway: GatewayProcess) -> Customer:
    return provision(gateway, f"t-{uuid4().hex[:12]}")


@pytest.fixture
async def stage(door: socket.socket) -> AsyncIterator[Stage]:
    stage = Stage()
    server = await asyncio.start_server(stage.connected, sock=door.dup(), limit=MEGABYTE)
    yield stage
    server.close()
    stage.close()


@asynccontextmanager
async def asking(
    gateway: GatewayProcess, customer: Customer, path: str, method: str = "GET", framing: str = ""
) -> AsyncIterator[Connection]:
    """A client whose request's head is under way. Its connection is gone at the end."""
    address = urlsplit(gateway.public_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=MEGABYTE)
    fields = {"Host": address.netloc, **customer.bearer()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), framing]
    client = Connection(reader, writer)
    try:
        await client.say("\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n")
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


async def test_each_event_arrives_before_the_next_one_is_sent(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(gateway, customer, f"/api/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(EVENTS)
        assert b"content-type: text/event-stream" in (await client.until(b"\r\n\r\n")).lower()
        for number in range(3):
            event = b"id: %d\ndata: event\n\n" % number
            await call.say(chunk(event))
            assert (await client.until(event)).endswith(event)
        await call.say(b"0\r\n\r\n")
        assert await client.until(b"0\r\n\r\n")


async def test_a_stream_that_ends_with_its_connection_ends_cleanly(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(gateway, customer, f"/api/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(b"HTTP/1.1 200 OK\r\n\r\n", b"one")
        assert await client.until(b"one\r\n")
        call.close()
        assert await client.until(b"0\r\n\r\n")


@pytest.mark.parametrize("begun", [False, True], ids=["before-the-answer", "within-the-answer"])
async def test_a_client_that_goes_away_ends_the_upstream_s_request_and_gives_its_slot_back(
    gateway: GatewayProcess, customer: Customer, stage: Stage, begun: bool
) -> None:
    async with asking(gateway, customer, f"/single/{uuid4().hex}") as client:
        call = await stage.next()
        if begun:
            await call.say(EVENTS, chunk(b"data: 1\n\n"))
            await client.until(b"data: 1\n\n")
        assert not await is_admitted(gateway, customer)
    await comes_back(gateway, customer)
    assert await call.rest() == b""


async def test_a_client_that_goes_away_within_its_body_never_completes_it(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(gateway, customer, f"/single/{uuid4().hex}", "POST", "Transfer-Encoding: chunked") as client:
        await client.say(chunk(b"half"))
        call = await stage.next()
        await call.until(b"half\r\n")
    await comes_back(gateway, customer)
    assert await call.rest() == b""


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["nothing", "half-a-head"])
async def test_an_upstream_that_dies_before_it_answers_is_502(
    gateway: GatewayProcess, customer: Customer, stage: Stage, said: bytes
) -> None:
    async with asking(gateway, customer, f"/single/{uuid4().hex}", "POST", "Content-Length: 0") as client:
        call = await stage.next()
        await call.say(said)
        call.drop()
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        assert b"UPSTREAM_CLOSED" in await client.until(b"}")
    await comes_back(gateway, customer)


@pytest.mark.parametrize("head", [EVENTS, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ids=["chunked", "length"])
async def test_an_upstream_that_dies_within_its_answer_breaks_the_client_s_off(
    gateway: GatewayProcess, customer: Customer, stage: Stage, head: bytes
) -> None:
    async with asking(gateway, customer, f"/single/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(head, chunk(b"half"))
        await client.until(b"half")
        call.drop()
        assert b"0\r\n\r\n" not in await client.rest()
    await comes_back(gateway, customer)


def resident(gateway: GatewayProcess, what: str) -> int:
    """Bytes of memory in use: `VmRSS` now, `VmHWM` at the most so far."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) << 10


class Pouring:
    """100 MB on their way into a connection, as fast as they are taken."""

    def __init__(self, into: Connection) -> None:
        self.poured = 0
        self.digest = sha256()
        self._task = asyncio.create_task(self._pour(into))

    async def _pour(self, into: Connection) -> None:
        for number in range(HUNDRED // MEGABYTE):
            piece = number.to_bytes(2, "big") * (MEGABYTE // 2)
            await into.say(piece)
            self.digest.update(piece)
            self.poured += len(piece)

    async def stuck(self) -> None:
        """Nothing of it has been taken for a while."""
        before = -1
        while before != self.poured:
            before = self.poured
            await asyncio.wait([self._task], timeout=0.3)

    async def swallowed(self, at: Connection) -> str:
        """The digest of all that arrives."""
        digest, missing = sha256(), HUNDRED
        while missing:
            piece = await at.exactly(min(missing, MEGABYTE))
            digest.update(piece)
            missing -= len(piece)
        await self._task
        return digest.hexdigest()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")
async def test_a_client_that_does_not_read_holds_the_upstream_back(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    before = resident(gateway, "VmRSS")
    async with asking(gateway, customer, f"/large/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUNDRED)
        await client.until(b"\r\n\r\n")
        pouring = Pouring(call)
        await pouring.stuck()
        assert pouring.poured < HUNDRED // 2
        assert await pouring.swallowed(client) == pouring.digest.hexdigest()
    assert resident(gateway, "VmHWM") - before < 16 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")
async def test_an_upstream_that_does_not_read_holds_the_client_back(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    before = resident(gateway, "VmRSS")
    async with asking(gateway, customer, f"/large/{uuid4().hex}", "POST", f"Content-Length: {HUNDRED}") as client:
        pouring = Pouring(client)
        call = await stage.next()
        await pouring.stuck()
        assert pouring.poured < HUNDRED // 2
        assert await pouring.swallowed(call) == pouring.digest.hexdigest()
        await call.say(OK)
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert resident(gateway, "VmHWM") - before < 16 * MEGABYTE


async def test_large_chunked_bodies_pass_both_ways_at_once(gateway: GatewayProcess, customer: Customer, stage: Stage) -> None:
    pieces = [bytes([number]) * (number * 4001 + 1) for number in range(100)]  # 19 MB
    sent = sha256(b"".join(pieces)).hexdigest()

    async def echo(call: Connection) -> None:
        await call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for piece in call.chunks():
            await call.say(chunk(piece))
        await call.say(b"0\r\n\r\n")

    async with asking(gateway, customer, f"/large/{uuid4().hex}", "POST", "Transfer-Encoding: chunked") as client:
        echoing = asyncio.create_task(echo(await stage.next()))
        sending = asyncio.create_task(client.say(*map(chunk, pieces), b"0\r\n\r\n"))
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        received = sha256()
        async for piece in client.chunks():
            received.update(piece)
        await asyncio.gather(echoing, sending)
    assert received.hexdigest() == sent


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
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    forged = {"X-Tenant-Schema": "public", "X-Gateway-Identity": "forged"}
    async with (
        websockets_at(door, echo) as seen,
        tunnel(gateway, customer.bearer() | forged, "/api/socket?a=%20b") as client,
    ):
        for message in ("grüß", b"\x00\xff", "", "x" * MEGABYTE):
            await client.send(message)
            assert await client.recv() == message
    (handshake,) = seen
    assert handshake.path == "/api/socket?a=%20b"
    headers = handshake.headers
    assert headers.get_all("X-Tenant") == [customer.slug]
    assert headers.get_all("X-Tenant-Schema") == [customer.slug.replace("-", "_")]
    assert "Authorization" not in headers
    (token,) = headers.get_all("X-Gateway-Identity")
    keys = jwt.PyJWKSet.from_dict(gateway.public.get("/.well-known/jwks.json").json())
    claims = jwt.decode(token, keys.keys[0], algorithms=["EdDSA"], audience="recorder", issuer="tenantgate")
    assert (claims["tenant"], claims["htm"], claims["htu"]) == (customer.slug, "GET", "/api/socket")


async def test_the_upstream_chooses_among_the_subprotocols(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    chosen = [Subprotocol("chat.v2")]
    async with (
        websockets_at(door, echo, subprotocols=chosen),
        tunnel(gateway, customer.bearer(), "/api/socket", "chat.v1", "chat.v2") as client,
    ):
        assert client.subprotocol == "chat.v2"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "broken"), (4321, "own")])
async def test_either_side_s_close_reaches_the_other(
    gateway: GatewayProcess, customer: Customer, door: socket.socket, code: int, reason: str
) -> None:
    closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        if await connection.recv() == "close":
            await connection.close(code, reason)
        else:
            closed.put_nowait(await closing_of(connection))

    async with websockets_at(door, handle):
        async with tunnel(gateway, customer.bearer()) as client:
            await client.send("close")
            assert await closing_of(client) == (code, reason)
        async with tunnel(gateway, customer.bearer()) as client:
            await client.send("wait")
            await client.close(code, reason)
            async with asyncio.timeout(PATIENCE):
                assert await closed.get() == (code, reason)


async def test_an_upgrade_that_the_upstream_refuses_is_refused_with_its_answer(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(418, "short and stout")

    async with websockets_at(door, echo, process_request=refuse):
        with pytest.raises(InvalidStatus) as refused:
            await tunnel(gateway, customer.bearer())
    response = refused.value.response
    assert (response.status_code, response.body) == (418, b"short and stout")
    assert response.headers["X-Request-Id"]


async def test_an_upstream_that_dies_within_the_handshake_is_502(
    gateway: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async def die() -> None:
        (await stage.next()).drop()

    dying = asyncio.create_task(die())
    with pytest.raises(InvalidStatus) as refused:
        await tunnel(gateway, customer.bearer())
    await dying
    assert refused.value.response.status_code == 502


async def test_who_sends_no_credential_is_refused_before_the_upgrade(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async with websockets_at(door, echo) as seen:
        for headers, code in (({}, "MISSING"), ({**customer.bearer(), "X-Tenant": "somebody-else"}, "TENANT_MISMATCH")):
            with pytest.raises(InvalidStatus) as refused:
                await tunnel(gateway, headers)
            response = refused.value.response
            problem = json.loads(response.body or b"")
            assert response.status_code == problem["status"] == 401
            assert problem["code"].endswith(code)
            assert response.headers["Content-Type"] == "application/problem+json"
            assert response.headers["X-Request-Id"] == problem["request_id"]
    assert seen == []


async def test_a_tunnel_holds_its_slot_until_it_is_closed(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async with websockets_at(door, echo):
        async with tunnel(gateway, customer.bearer(), "/single/socket") as client:
            await client.send("there")
            assert await client.recv() == "there"
            assert not await is_admitted(gateway, customer)
            with pytest.raises(InvalidStatus, match="429"):
                await tunnel(gateway, customer.bearer(), "/single/socket")
        await comes_back(gateway, customer)


async def test_a_client_that_vanishes_ends_the_upstream_s_tunnel_and_gives_its_slot_back(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    closed = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.send("there")
        await connection.wait_closed()
        closed.set()

    async with websockets_at(door, handle):
        client = await tunnel(gateway, customer.bearer(), "/single/socket")
        assert await client.recv() == "there"
        client.transport.abort()
        async with asyncio.timeout(1):
            await closed.wait()
        await comes_back(gateway, customer)


async def test_an_upstream_that_vanishes_is_no_good_end_for_the_client(
    gateway: GatewayProcess, customer: Customer, door: socket.socket
) -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with websockets_at(door, vanish), tunnel(gateway, customer.bearer(), "/single/socket") as client:
        code, _ = await closing_of(client)
        assert code not in (1000, 1005)
        await comes_back(gateway, customer)
