"""However a request on the short cut ends: it is told of once, its units are those of answers that were delivered, and nothing
that it held stays behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.tenancy.tenant import Tenant
from tests.e2e.stage import Connection

from .stand import OK, Client, Counted, Stand, eventually, head, saying


class Held:
    """An upstream that answers when it is let go, and a request on the short cut that waits for it."""

    def __init__(self, stand: Stand) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.answer = OK
        stand.upstream.play = self.play

    async def play(self, connection: Connection) -> None:
        self.asked.set()
        await self.go.wait()
        await connection.say(self.answer)


Asked = Callable[[Client], bytes]


@asynccontextmanager
async def waiting(stand: Stand, client: Client, text: bytes) -> AsyncIterator[Held]:
    await stand.warm(client, text)
    held, begun = Held(stand), Counted.begun
    await client.say(text)
    async with asyncio.timeout(5):
        await held.asked.wait()
    assert Counted.begun == begun + 1
    yield held
    held.go.set()


async def of_slots(stand: Stand) -> tuple[Tenant, bytes]:
    """A tenant, and a request of it that takes a place and counts as a message."""
    tenant = await stand.tenant("acme", "hundred")
    return tenant, head("/slots/x", f"X-Api-Key: {await stand.key(tenant)}")


async def settled(stand: Stand) -> dict[str, object]:
    """The last request's line in the log, once nothing is held any more."""
    await eventually(lambda: stand.held() == 0)
    return stand.log()[-1]


async def warmed(stand: Stand, client: Client, text: bytes) -> None:
    """Bounded limits are held here while there is demand."""
    for _ in range(12):
        assert (await client.ask(text)).status == 200


async def test_a_client_that_goes_while_the_upstream_works_is_charged(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        async with waiting(stand, client, text):
            assert stand.held() > 0
            client.connection.drop()
            line = await settled(stand)
    assert (line["code"], line["tenant"]) == ("CLIENT_CLOSED_REQUEST", "acme")
    assert await stand.used(tenant, "messages") == 12 + 5 + 1


async def test_so_is_one_that_sends_no_more(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        async with waiting(stand, client, text):
            client.connection._writer.write_eof()
            assert (await settled(stand))["code"] == "CLIENT_CLOSED_REQUEST"
    assert await stand.used(tenant, "messages") == 12 + 5 + 1


async def test_a_stop_in_between_is_said_in_the_answer(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        async with waiting(stand, client, text) as held:
            stand.listening.stop()
            await asyncio.sleep(0.2)
            held.go.set()
            answer = await client.answer()
            assert (answer.status, answer.fields["connection"], answer.body) == (200, "close", b"ok")
            assert await client.rest() == b""
    assert await stand.used(tenant, "messages") == 12 + 5 + 1
    assert stand.held() == 0


async def test_so_is_one_while_the_units_are_counted(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        await stand.warm(client, text)
        await stand.store.control.command("CLIENT", "PAUSE", "800", "WRITE")
        await client.say(text)
        await asyncio.sleep(0.1)
        stand.listening.stop()
        answer = await client.answer()
        assert (answer.status, answer.fields["connection"], answer.body) == (200, "close", b"ok")
        assert await client.rest() == b""
    assert await stand.used(tenant, "messages") == 12 + 5 + 1
    assert stand.held() == 0


async def test_one_that_is_not_over_in_time_is_told_so(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        async with waiting(stand, client, text):
            (connection,) = stand.listening._server.server_state.connections
            connection.expire()
            answer = await client.answer()
            assert (answer.status, json.loads(answer.body)["code"]) == (503, "SHUTTING_DOWN")
            assert (await settled(stand))["status"] == 503
    assert await stand.used(tenant, "messages") == 12 + 5


@pytest.mark.parametrize("length", [2, 0])
async def test_what_can_not_be_counted_is_not_delivered(stand: Stand, length: int) -> None:
    """As without the short cut."""
    tenant, text = await of_slots(stand)
    ends = []
    stand.upstream.play = saying(OK if length else OK.replace(b"Length: 2", b"Length: 0")[:-2])
    for other in ("", "X-Other: 1\r\n"):
        async with stand.client() as client:
            await warmed(stand, client, text)
            await stand.warm(client, text)
            begun = Counted.begun
            await stand.store.control.command("CLIENT", "PAUSE", "1600", "WRITE")
            await client.say(text[:-2] + other.encode() + b"\r\n")
            # On the short cut nothing has left yet, so it can still be told why.
            said = await client.rest() if length and other else await client.answer()
            ends.append(said.status if not isinstance(said, bytes) else said.endswith(b"ok"))
            assert Counted.begun == begun + (not other)
            await stand.store.control.command("CLIENT", "UNPAUSE")
            await eventually(lambda: stand.held() == 0)
    assert ends == [503, False if length else 503]
    async with asyncio.timeout(5):  # What was counted after all is taken back.
        while await stand.used(tenant, "messages") != 2 * (12 + 5):
            await asyncio.sleep(0.02)


async def test_it_is_where_the_route_goes_on_without_the_store(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/going-on/x", f"X-Api-Key: {await stand.key(tenant)}")
    async with stand.client() as client:
        await warmed(stand, client, text)
        await stand.warm(client, text)
        begun = Counted.begun
        await stand.store.control.command("CLIENT", "PAUSE", "1600", "WRITE")
        assert (await client.ask(text)).status == 200
        assert Counted.begun == begun + 1
        await stand.store.control.command("CLIENT", "UNPAUSE")
    await asyncio.sleep(1)
    assert await stand.used(tenant, "messages") == 12 + 5 + 1


async def test_a_client_that_goes_while_the_units_are_counted_is_charged_once(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as client:
        await warmed(stand, client, text)
        await stand.warm(client, text)
        await stand.store.control.command("CLIENT", "PAUSE", "500", "WRITE")
        await client.say(text)
        await asyncio.sleep(0.1)
        client.connection.drop()
        line = await settled(stand)
    assert (line["code"], line["status"]) == ("CLIENT_CLOSED_REQUEST", 200)
    assert await stand.used(tenant, "messages") == 12 + 5 + 1


async def test_requests_wait_their_turn_for_a_connection(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as first, stand.client() as second, stand.client() as third:
        await warmed(stand, first, text)
        await stand.warm(first, text)
        held = Held(stand)
        for client in (first, second, third):
            await client.say(text)
            await asyncio.sleep(0.02)
        held.go.set()
        assert [(await client.answer()).status for client in (first, second, third)] == [200] * 3
    assert Counted.left == 1  # the second one's connection was made for it
    assert await stand.used(tenant, "messages") == 12 + 5 + 3
    assert stand.held() == 0


async def test_who_waits_too_long_for_a_connection_is_told_so(stand: Stand) -> None:
    tenant, text = await of_slots(stand)
    async with stand.client() as first, stand.client() as second, stand.client() as third:
        await warmed(stand, first, text)
        await stand.warm(first, text)
        held = Held(stand)
        for client in (first, second, third):
            await client.say(text)
            await asyncio.sleep(0.02)
        answer = await third.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "UPSTREAM_BUSY")
        held.go.set()
        assert [(await client.answer()).status for client in (first, second)] == [200] * 2
    assert await stand.used(tenant, "messages") == 12 + 5 + 2
    assert stand.held() == 0


async def test_requests_sent_ahead_are_answered_in_their_order(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    key = f"X-Api-Key: {await stand.key(tenant)}"

    async def play(connection: Connection) -> None:
        target = stand.upstream.asked[-1].split(b" ")[1]
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    stand.upstream.play = play
    texts = [head(f"/api/{name}", key) for name in "ab"]
    async with stand.client() as client:
        for text in texts:
            await stand.warm(client, text)
        begun = Counted.begun
        await client.say(b"".join(texts * 20))
        assert [(await client.answer()).body for _ in range(40)] == [b"/api/a", b"/api/b"] * 20
        assert Counted.begun == begun + 40


async def test_a_body_is_sent_as_it_comes_this_time(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}", "Content-Length: 5", method="POST")
    async with stand.client() as client:
        await stand.warm(client, text + b"hello")
        for body in (b"other", b"GET /", b"\r\n\r\n\0"):
            assert (await client.ask(text + body)).status == 200
            assert stand.upstream.asked[-1].endswith(b"\r\n\r\n" + body)
        begun = Counted.begun
        await client.say(text + b"in")
        await asyncio.sleep(0.02)
        assert (await client.ask(b"two")).status == 200
        assert stand.upstream.asked[-1].endswith(b"\r\n\r\nintwo")
        assert Counted.begun == begun


async def test_a_client_that_does_not_read_holds_nobody_up(stand: Stand) -> None:
    tenant, large = await stand.tenant("acme"), 60_000
    text = head("/metered/x", f"X-Api-Key: {await stand.key(tenant)}")
    stand.upstream.play = saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (large, b"x" * large))
    async with stand.client() as client:
        await stand.warm(client, text)
        await client.say(text * 200)
        await asyncio.sleep(0.3)
        before = len(stand.upstream.asked)
        async with stand.client() as other:
            assert (await other.ask(text)).status == 200
        assert before < 200
        for _ in range(200):
            assert (await client.answer()).body == b"x" * large
    assert await stand.used(tenant, "messages") == 5 + 1 + 200
