"""Targets that are not well, and what is learnt of it from requests and checks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.errors import Refused
from gateway.forward.pool import TargetStatus, UpstreamAborted, Upstreams

from .servers import GET, OK, POST, Handler, Peer, answering, fetch, serving, upstreams

ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
OTHER = "http://127.0.0.1:1"
"""A second target, without which none would ever be left out. Nobody listens there."""


def passive(**keys: object) -> dict[str, object]:
    return {"passive": {"failures": 3, "max_ejected": 50, **keys}}


def active(**keys: object) -> dict[str, object]:
    return {"active": {"path": "/healthz?full=1", "interval": "10ms", "timeout": "5s", **keys}}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def of(pool: Upstreams, url: str) -> TargetStatus:
    return next(status for status in pool.health() if url.endswith(status.target))


async def hanging_up(peer: Peer) -> None:
    await peer.head()


async def hanging_up_in_the_answer(peer: Peer) -> None:
    await peer.head()
    await peer.say(OK[:-1])


async def resetting(peer: Peer) -> None:
    await peer.head()
    peer.reset()


async def silent(peer: Peer) -> None:
    await peer.gone()


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(hanging_up, id="hangs up"),
        pytest.param(hanging_up_in_the_answer, id="hangs up in its answer"),
        pytest.param(resetting, id="resets"),
        pytest.param(silent, id="too slow"),
        pytest.param(answering(b"hello"), id="nonsense"),
    ],
)
async def test_a_target_that_fails_three_requests_in_a_row_is_left_out(handler: Handler) -> None:
    health = passive()
    async with (
        serving(handler) as bad,
        serving(answering(OK)) as good,
        upstreams(bad.url, good.url, first_byte=0.3, health=health, balance="round_robin") as pool,
    ):
        results = await asyncio.gather(*(fetch(pool) for _ in range(12)), return_exceptions=True)
        assert sum(isinstance(result, Refused | UpstreamAborted) for result in results) == 6
        assert (of(pool, bad.url).state, of(pool, good.url).state) == ("ejected", "up")
        assert [await fetch(pool) for _ in range(8)] == [(200, b"ok")] * 8
        assert of(pool, bad.url).ejections == 1


async def test_a_target_that_cannot_be_reached_is_left_out_and_nobody_notices() -> None:
    async with serving(answering(OK)) as good, upstreams(OTHER, good.url, health=passive(failures=1)) as pool:
        assert [await fetch(pool, POST, b"x") for _ in range(6)] == [(200, b"ok")] * 6
        assert of(pool, OTHER).state == "ejected"


@pytest.mark.parametrize("counts", [False, True])
async def test_answers_of_500_are_failures_by_choice(counts: bool) -> None:
    async with serving(answering(ERROR)) as bad, upstreams(bad.url, OTHER, health=passive(count_5xx=counts)) as pool:
        for _ in range(8):
            assert await fetch(pool) == (500, b"no")
        assert of(pool, bad.url).state == ("ejected" if counts else "up")


async def test_an_answer_ends_the_row_of_failures() -> None:
    async def handle(peer: Peer) -> None:
        while b"/bad" not in await peer.head():
            await peer.say(OK)

    bad = replace(GET, target=b"/bad")
    async with serving(handle) as server, upstreams(server.url, OTHER, health=passive()) as pool:
        for _ in range(4):
            for head in (bad, bad, GET):
                with suppress(Refused):
                    await fetch(pool, head)
        assert of(pool, server.url).state == "up"


async def test_what_a_client_may_have_caused_is_no_failure() -> None:
    """An upstream hangs up on who sends or reads too slowly, and closes what it has not used for a while."""

    async def impatient(peer: Peer) -> None:
        head = await peer.head()
        if b"/unread" in head:
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", bytes(4 << 20))
        elif b"/idle" in head:
            await peer.say(OK)
            await peer.head()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(0.05)
        yield b"x"

    async with serving(impatient) as server, upstreams(server.url, OTHER, health=passive(failures=1, max_ejected=100)) as pool:
        with pytest.raises(Refused):
            await fetch(pool, POST, slow())
        response = await pool.send("u", replace(GET, target=b"/unread"), None)
        await asyncio.sleep(0.05)
        with pytest.raises(UpstreamAborted):
            [piece async for piece in response.chunks()]
        await response.aclose()
        await fetch(pool, replace(GET, target=b"/idle"))
        with pytest.raises(Refused):
            await fetch(pool, POST)
        assert of(pool, server.url).state == "up"


async def test_a_client_that_goes_away_is_no_failure() -> None:
    async with serving(silent) as server, upstreams(server.url, OTHER, health=passive(failures=1, max_ejected=100)) as pool:
        for _ in range(3):
            task = asyncio.create_task(fetch(pool))
            await until(lambda: server.connections > 0)
            task.cancel()
            await asyncio.wait([task])
        assert of(pool, server.url).state == "up"


async def test_it_is_told_which_target_failed_and_why(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(answering(b"hello")) as server, upstreams(server.url, OTHER, health=passive()) as pool:
        for _ in range(3):
            with pytest.raises(Refused):
                await fetch(pool)
    address = server.url.removeprefix("http://")
    said = [record.message for record in caplog.records if address in record.message]
    assert said == [
        f"{address} failed a request: The response is not well-formed HTTP/1.1: not HTTP/1.1 or HTTP/1.0.",
        f"{address} is left out for 10s: 3 failures in a row",
    ]


# Checks


async def test_a_target_that_fails_its_checks_is_left_out_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    well, heads = True, []

    async def handle(peer: Peer) -> None:
        head = await peer.head()
        if b"/healthz" in head:
            heads.append(head)
            await peer.say(OK if well else ERROR)
        else:
            await peer.say(OK)

    async with (
        serving(handle) as sick,
        serving(answering(OK)) as good,
        upstreams(sick.url, good.url, health=active()) as pool,
    ):
        pool.start()
        await until(lambda: len(heads) >= 3)
        assert of(pool, sick.url).state == "up"
        well = False
        await until(lambda: of(pool, sick.url).state == "down")
        asked = sick.connections - len(heads)
        for _ in range(6):
            await fetch(pool)
        assert sick.connections - len(heads) <= asked + 1  # one check may be under way
        well = True
        await until(lambda: of(pool, sick.url).state == "up")
    address = sick.url.removeprefix("http://")
    told = [record.message for record in caplog.records if record.name == "tenantgate.upstream" and address in record.message]
    assert told == [
        f"{address} is left out: it fails its checks: it answered 500",
        f"{address} is back: it passes its checks",
    ]
    assert heads[0] == b"\r\n".join(
        [
            b"GET /healthz?full=1 HTTP/1.1",
            b"Host: " + address.encode(),
            b"User-Agent: tenantgate",
            b"Accept: */*",
            b"Connection: close",
            b"",
            b"",
        ]
    )


async def endless(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.say(bytes(65536))


async def never_ending(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")
    await peer.gone()


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(silent, id="silent"),
        pytest.param(hanging_up, id="hangs up"),
        pytest.param(never_ending, id="half an answer"),
        pytest.param(answering(b"hello"), id="nonsense"),
        pytest.param(answering(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), id="redirect"),
    ],
)
async def test_what_is_no_good_answer_to_a_check(handler: Handler) -> None:
    async with serving(handler) as server, upstreams(server.url, health=active(timeout="30ms", unhealthy=2)) as pool:
        pool.start()
        await until(lambda: of(pool, server.url).state == "down")


async def test_a_target_that_nobody_listens_at_fails_its_checks() -> None:
    async with upstreams(OTHER, health=active()) as pool:
        pool.start()
        await until(lambda: of(pool, OTHER).state == "down")
        assert of(pool, OTHER).ejections == 0


async def test_an_answer_without_end_is_not_waited_for() -> None:
    async with serving(endless) as server, upstreams(server.url, health=active(unhealthy=1)) as pool:
        pool.start()
        await until(lambda: server.connections >= 3)
        assert of(pool, server.url).state == "up"


async def test_a_check_needs_no_place_in_the_pool() -> None:
    async def handle(peer: Peer) -> None:
        await peer.say(OK) if b"/healthz" in await peer.head() else await peer.gone()

    async with (
        serving(handle) as server,
        upstreams(server.url, max_connections=1, health=active(unhealthy=1, timeout="1s")) as pool,
    ):
        busy = asyncio.create_task(fetch(pool))
        await until(lambda: of(pool, server.url).outstanding == 1)
        pool.start()
        await until(lambda: server.connections >= 4)
        assert of(pool, server.url).state == "up"
        busy.cancel()
        await asyncio.wait([busy])


async def test_nothing_is_checked_where_no_path_is_given_or_the_pool_is_closed() -> None:
    async with serving(answering(OK)) as server:
        async with upstreams(server.url) as pool:
            pool.start()
            await asyncio.sleep(0.03)
            assert server.connections == 0
        async with upstreams(server.url, health=active()) as pool:
            pool.start()
            await until(lambda: server.connections > 0)
        count = server.connections
        await asyncio.sleep(0.05)
        assert server.connections == count


async def test_the_view_tells_of_each_target_what_it_does() -> None:
    async with serving(answering(OK)) as server, serving(silent) as still, upstreams(server.url, still.url) as pool:
        requests = [asyncio.create_task(fetch(pool)) for _ in range(2)]
        await until(lambda: requests[0].done() or requests[1].done())
        expected = {
            TargetStatus("u", server.url.removeprefix("http://"), "up", 0, 1, 0),
            TargetStatus("u", still.url.removeprefix("http://"), "up", 1, 0, 0),
        }
        assert set(pool.health()) == expected
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
