"""A whole gateway in the test's own process and loop: real sockets at both ends, the real store. Counts the short cuts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from io import StringIO
from urllib.parse import urlsplit

import jwt

from gateway.app import Gateway
from gateway.clock import SystemClock
from gateway.express.passage import Passage
from gateway.express.repeat import Repeat
from gateway.ledger.usage import Usage
from gateway.registry.tenants import Created, NewTenant
from gateway.server import Listening
from gateway.store.connect import Store
from gateway.tenancy.period import period_of
from gateway.tenancy.tenant import Tenant
from gateway.transaction import Machine
from tests.e2e.stage import Connection

SECRET = "j" * 64
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class LateClock(SystemClock):
    """The system's, where wall time may be set ahead. Leases go by the other one."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead, system = 0.0, self.now
        self.now = lambda: system() + self.ahead


class Counted(Repeat):
    """Counts the requests that took the short cut (`begun`), and those of them that left it (`left`)."""

    __slots__ = ()
    begun = left = 0

    def begin(self) -> bool:
        taken = super().begin()
        Counted.begun += taken
        return taken

    def _as_passage(self) -> Passage:
        Counted.left += 1
        return super()._as_passage()


Play = Callable[[Connection], Awaitable[None]]


def saying(*pieces: bytes) -> Play:
    """An upstream that says these, each in a packet of its own."""

    async def play(connection: Connection) -> None:
        for number, piece in enumerate(pieces):
            await asyncio.sleep(0.01 * min(number, 1))
            await connection.say(piece)

    return play


@dataclass
class Upstream:
    """`asked`: the requests as they came. `play` answers them, whoever it is."""

    asked: list[bytes] = field(default_factory=list)
    play: Play = field(default_factory=lambda: saying(OK))
    open: list[Connection] = field(default_factory=list)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.open.append(connection)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, found, rest = head.lower().partition(b"\r\ncontent-length: ")
                body = await reader.readexactly(int(rest.partition(b"\r\n")[0])) if found else b""
                if b"\r\nTransfer-Encoding: chunked\r\n" in head:
                    body = await reader.readuntil(b"0\r\n\r\n")
                self.asked.append(head + body)
                await self.play(connection)
        writer.close()


@dataclass(frozen=True)
class Answer:
    status: int
    fields: Mapping[str, str]
    body: bytes


class Client:
    """A client's connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.say, self.rest = connection.say, connection.rest

    async def answer(self) -> Answer:
        head = await self.connection.until(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        body = await self.connection.exactly(int(fields.get("content-length", 0)))
        return Answer(int(first.split(" ")[1]), fields, body)

    async def ask(self, text: bytes) -> Answer:
        await self.say(text)
        return await self.answer()


@dataclass
class Stand:
    gateway: Gateway
    url: str
    upstream: Upstream
    store: Store
    clock: LateClock
    listening: Listening
    serving: asyncio.Task[None]
    output: StringIO

    @property
    def machine(self) -> Machine:
        return self.gateway.express.machine

    @asynccontextmanager
    async def client(self, source: str = "127.0.0.1") -> AsyncIterator[Client]:
        """`source`: the address that it has."""
        at = urlsplit(self.url)
        client = Connection(*await asyncio.open_connection(at.hostname, at.port, local_addr=(source, 0)))
        try:
            yield Client(client)
        finally:
            client.drop()

    async def created(self, slug: str, plan: str = "free", ref: str | None = None) -> Created:
        """With `https://<slug>.example` as its origin."""
        new, origin = NewTenant("main", slug.title(), slug, ref, plan), f"https://{slug}.example"
        return await self.gateway.tenants.create(new, lambda tenant: replace(tenant, origins=(origin,)))

    async def tenant(self, slug: str, plan: str = "free", ref: str | None = None) -> Tenant:
        return (await self.created(slug, plan, ref)).tenant

    async def widget(self, slug: str) -> list[str]:
        """Headers of a page of this tenant."""
        return [f"X-Widget-Key: {(await self.created(slug)).widget_key}", f"Origin: https://{slug}.example"]

    async def key(self, owner: Tenant | str, expires_at: float | None = None) -> str:
        """Of a tenant, or of the organization with this name."""
        of = owner.id if isinstance(owner, Tenant) else owner
        return (await self.gateway.keys.mint(of, "test", frozenset(), created_by="tests", expires_at=expires_at)).text

    def token(self, slug: str, seconds: float = 300.0) -> str:
        now = self.clock.now()
        claims = {"iss": "tests", "sub": "user-1", "tenant": slug, "iat": int(now), "exp": now + seconds}
        return jwt.encode(claims, SECRET, algorithm="HS256")

    async def warm(self, client: Client, text: bytes, times: int = 4) -> None:
        """Ask often enough for the short cut to be open."""
        for _ in range(times):
            assert (await client.ask(text)).status == 200
        before = Counted.begun
        assert (await client.ask(text)).status == 200
        assert Counted.begun == before + 1

    async def used(self, tenant: Tenant, metric: str) -> int:
        await self.machine.ledger.flush()
        return (await Usage(self.store).of_tenant(tenant.id, period_of(self.clock.now()))).get(metric, 0)

    def held(self) -> int:
        """Units and places that requests hold at this moment."""
        return sum(lease.busy for lease in self.machine.ledger._book.living)

    def log(self) -> list[dict[str, object]]:
        """The lines that were written since the last call, one each for a request."""
        self.machine.observer._log.flush()
        lines = self.output.getvalue().splitlines()
        self.output.seek(0)
        self.output.truncate()
        return [line for line in map(json.loads, lines) if line.get("event") == "request"]


def head(target: str, *fields: str, method: str = "GET", host: str = "gateway.test") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n"


async def eventually(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)
