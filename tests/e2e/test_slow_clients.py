"""Clients that take their time: their heads come within ten seconds, their bodies keep moving, or they are told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from uuid import uuid4

import pytest

from .oddities import CHUNKED, CLOSE
from .stack import Customer, GatewayProcess
from .stage import OK, Connection, Stage, comes_back, connected, is_admitted
from .wire import Reply, head, parse

HEAD_WITHIN, BODY_IDLE = 10.0, 2.0  # seconds; the first is fixed, the second is configured
MARGIN = 3.0  # for a busy machine


async def drip(gateway: GatewayProcess, first: bytes, drop: bytes, every: float, *, within: float) -> tuple[list[Reply], float]:
    """Say `first`, then `drop` again and again until the gateway has closed; its answers, and the seconds that it took."""
    begun = monotonic()
    async with connected(gateway, first) as client, asyncio.timeout(within + MARGIN):
        dripping = asyncio.create_task(_keep_saying(client, drop, every))
        try:
            return parse(await client.rest()), monotonic() - begun
        finally:
            dripping.cancel()


async def _keep_saying(client: Connection, drop: bytes, every: float) -> None:
    with suppress(ConnectionError):
        while drop:
            await asyncio.sleep(every)
            await client.say(drop)


@pytest.mark.slow
@pytest.mark.usefixtures("stage")
async def test_a_head_that_does_not_come_within_ten_seconds_is_408(patient: GatewayProcess, customer: Customer) -> None:
    whole, line = head("GET /open/now/x HTTP/1.1", customer), b"GET /open/now/x HTTP/1.1\r\n"
    heads = {
        "stands still": (whole[:-2], b""),
        "stops within its line": (b"GET /op", b""),
        "byte by byte": (line + b"X-A: ", b"a"),
        "header by header": (line, b"X-A: v\r\n"),
        "after another request": (head("GET /open/now/x HTTP/1.1") + line, b"X-A: v\r\n"),
    }
    outcomes = await asyncio.gather(*(drip(patient, first, drop, 0.5, within=HEAD_WITHIN) for first, drop in heads.values()))
    for why, (replies, took) in zip(heads, outcomes, strict=True):
        *before, last = replies
        assert [reply.status for reply in before] == [200] * (why == "after another request")
        assert (last.status, last.problem["code"], last.fields["connection"]) == (408, "REQUEST_TIMEOUT", "close"), why
        assert took > HEAD_WITHIN - 1, why


@pytest.mark.slow
async def test_a_connection_on_which_nobody_asks_is_closed_without_a_word(patient: GatewayProcess) -> None:
    outcomes = await asyncio.gather(*(drip(patient, begin, b"", 1, within=HEAD_WITHIN) for begin in (b"", b"\r\n")))
    assert [replies for replies, _ in outcomes] == [[], []]


@pytest.mark.parametrize(
    ("framing", "begin", "drop"),
    [
        (b"Content-Length: 10", b"", b""),
        (b"Content-Length: 10", b"hal", b""),
        (CHUNKED, b"", b""),
        (CHUNKED, b"5\r\nhal", b""),
        (CHUNKED, b"5", b""),
        (CHUNKED, b"5\r\nhello\r\n0\r\n", b""),
        # What is no body doesn't keep it moving.
        (CHUNKED, b"5\r\nhello\r\n5;", b"e"),
        (CHUNKED, b"5\r\nhello\r\n0\r\nX-T: ", b"v"),
        (CHUNKED, b"5\r\nhello\r\n0\r\n", b"X-T: v\r\n"),
    ],
    ids=repr,
)
async def test_a_body_that_stands_still_is_408(
    patient: GatewayProcess, customer: Customer, stage: Stage, framing: bytes, begin: bytes, drop: bytes
) -> None:
    """The upstream, which has the beginning, never gets a complete request."""
    asking = head(f"POST /api/{uuid4().hex} HTTP/1.1", customer, framing)
    (reply,), took = await drip(patient, asking + begin, drop, 0.25, within=BODY_IDLE)
    assert (reply.status, reply.problem["code"], reply.fields["connection"]) == (408, "REQUEST_TIMEOUT", "close")
    assert took > BODY_IDLE - 0.5
    call = await stage.next()
    assert not (await call.rest()).endswith(b"0\r\n\r\n")


async def test_a_body_that_keeps_moving_may_take_longer(patient: GatewayProcess, customer: Customer, stage: Stage) -> None:
    async with connected(patient) as client:
        await client.say(head(f"POST /api/{uuid4().hex} HTTP/1.1", customer, b"Content-Length: 6", CLOSE))
        for _ in range(6):
            await asyncio.sleep(BODY_IDLE / 4)
            await client.say(b"x")
        call = await stage.next()
        assert await call.exactly(6) == b"xxxxxx"
        await call.say(OK)
        assert parse(await client.rest())[0].status == 200


AHEAD = head("GET /nowhere HTTP/1.1", None) * 1000


async def test_what_is_sent_ahead_waits_at_the_client(patient: GatewayProcess, customer: Customer, stage: Stage) -> None:
    """Fifty megabytes of further requests, more than systems keep under way, don't go into the gateway's memory."""
    async with connected(patient, head(f"GET /api/{uuid4().hex} HTTP/1.1", customer)) as client:
        await stage.next()
        pouring = asyncio.create_task(client.say(*[AHEAD] * ((50 << 20) // len(AHEAD))))
        await asyncio.wait([pouring], timeout=1)
        assert not pouring.done()
        pouring.cancel()


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ((), b""),
        ((b"Content-Length: 10000000",), b"x" * 1000),
    ],
    ids=["nothing more", "a little of its body"],
)
async def test_a_client_that_goes_away_is_noticed_whatever_it_had_sent(
    patient: GatewayProcess, customer: Customer, stage: Stage, fields: tuple[bytes, ...], more: bytes
) -> None:
    """The upstream takes no more than systems keep for it, so the gateway takes no more from the client. Where that had sent
    more than systems keep for the gateway, its end waits behind bytes that nobody reads, and can't be noticed."""
    method = "POST" if fields else "GET"
    async with connected(patient, head(f"{method} /single/large/{uuid4().hex} HTTP/1.1", customer, *fields)) as client:
        call = await stage.next()
        sending = asyncio.create_task(client.say(more))
        await asyncio.wait([sending], timeout=1)
        assert not await is_admitted(patient, customer)
        sending.cancel()
    try:
        await comes_back(patient, customer)
    finally:
        call.drop()
