"""What lasts: streams, and bodies that are larger than anybody's memory. The test is the upstream, and says each piece."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from .stack import Customer, GatewayProcess
from .stage import OK, Connection, Stage, asking, chunk, comes_back, is_admitted

MEGABYTE = 1 << 20
HUNDRED = 100 * MEGABYTE
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_each_event_arrives_before_the_next_one_is_sent(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(patient, customer, f"/api/{uuid4().hex}") as client:
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
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(patient, customer, f"/api/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(b"HTTP/1.1 200 OK\r\n\r\n", b"one")
        assert await client.until(b"one\r\n")
        call.close()
        assert await client.until(b"0\r\n\r\n")


@pytest.mark.parametrize("begun", [False, True], ids=["before-the-answer", "within-the-answer"])
async def test_a_client_that_goes_away_ends_the_upstream_s_request_and_gives_its_slot_back(
    patient: GatewayProcess, customer: Customer, stage: Stage, begun: bool
) -> None:
    async with asking(patient, customer, f"/single/{uuid4().hex}") as client:
        call = await stage.next()
        if begun:
            await call.say(EVENTS, chunk(b"data: 1\n\n"))
            await client.until(b"data: 1\n\n")
        assert not await is_admitted(patient, customer)
    await comes_back(patient, customer)
    assert await call.rest() == b""


async def test_a_client_that_goes_away_within_its_body_never_completes_it(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    async with asking(patient, customer, f"/single/{uuid4().hex}", "POST", "Transfer-Encoding: chunked") as client:
        await client.say(chunk(b"half"))
        call = await stage.next()
        await call.until(b"half\r\n")
    await comes_back(patient, customer)
    assert await call.rest() == b""


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["nothing", "half-a-head"])
async def test_an_upstream_that_dies_before_it_answers_is_502(
    patient: GatewayProcess, customer: Customer, stage: Stage, said: bytes
) -> None:
    async with asking(patient, customer, f"/single/{uuid4().hex}", "POST", "Content-Length: 0") as client:
        call = await stage.next()
        await call.say(said)
        call.drop()
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        assert b"UPSTREAM_CLOSED" in await client.until(b"}")
    await comes_back(patient, customer)


@pytest.mark.parametrize("head", [EVENTS, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ids=["chunked", "length"])
async def test_an_upstream_that_dies_within_its_answer_breaks_the_client_s_off(
    patient: GatewayProcess, customer: Customer, stage: Stage, head: bytes
) -> None:
    async with asking(patient, customer, f"/single/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(head, chunk(b"half"))
        await client.until(b"half")
        call.drop()
        assert b"0\r\n\r\n" not in await client.rest()
    await comes_back(patient, customer)


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
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    before = resident(patient, "VmRSS")
    async with asking(patient, customer, f"/large/{uuid4().hex}") as client:
        call = await stage.next()
        await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUNDRED)
        await client.until(b"\r\n\r\n")
        pouring = Pouring(call)
        await pouring.stuck()
        assert pouring.poured < HUNDRED // 2
        assert await pouring.swallowed(client) == pouring.digest.hexdigest()
    assert resident(patient, "VmHWM") - before < 16 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")
async def test_an_upstream_that_does_not_read_holds_the_client_back(
    patient: GatewayProcess, customer: Customer, stage: Stage
) -> None:
    before = resident(patient, "VmRSS")
    async with asking(patient, customer, f"/large/{uuid4().hex}", "POST", f"Content-Length: {HUNDRED}") as client:
        pouring = Pouring(client)
        call = await stage.next()
        await pouring.stuck()
        assert pouring.poured < HUNDRED // 2
        assert await pouring.swallowed(call) == pouring.digest.hexdigest()
        await call.say(OK)
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert resident(patient, "VmHWM") - before < 16 * MEGABYTE


async def test_large_chunked_bodies_pass_both_ways_at_once(patient: GatewayProcess, customer: Customer, stage: Stage) -> None:
    pieces = [bytes([number]) * (number * 4001 + 1) for number in range(100)]  # 19 MB
    sent = sha256(b"".join(pieces)).hexdigest()

    async def echo(call: Connection) -> None:
        await call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for piece in call.chunks():
            await call.say(chunk(piece))
        await call.say(b"0\r\n\r\n")

    async with asking(patient, customer, f"/large/{uuid4().hex}", "POST", "Transfer-Encoding: chunked") as client:
        echoing = asyncio.create_task(echo(await stage.next()))
        sending = asyncio.create_task(client.say(*map(chunk, pieces), b"0\r\n\r\n"))
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        received = sha256()
        async for piece in client.chunks():
            received.update(piece)
        await asyncio.gather(echoing, sending)
    assert received.hexdigest() == sent
