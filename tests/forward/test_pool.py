from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE, Problem, Refused
from gateway.forward.pool import OutboundHead, UpstreamAborted, Upstreams

from .servers import GET, OK, POST, Peer, answering, fetch, serving, upstreams


async def refusal_of(pool: Upstreams, head: OutboundHead = GET, body: bytes | None = None) -> Problem:
    with pytest.raises(Refused) as caught:
        await fetch(pool, head, body)
    return caught.value.problem


async def test_a_connection_is_used_again() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url) as pool:
        assert [await fetch(pool) for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 1


async def test_a_connection_that_the_upstream_closes_is_not_used_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, upstreams(server.url) as pool:
        await fetch(pool)
        await fetch(pool)
        assert server.connections == 2


async def test_2400_cancelled_requests_on_ten_connections_leave_the_pool_working() -> None:
    release = asyncio.Event()

    async def handle(peer: Peer) -> None:
        while True:
            await peer.head()
            await release.wait()
            await peer.say(OK)

    async with serving(handle) as server, upstreams(server.url, max_connections=10) as pool:
        for _ in range(4):
            tasks = [asyncio.create_task(fetch(pool)) for _ in range(600)]
            await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        release.set()
        assert await asyncio.gather(*(fetch(pool) for _ in range(30))) == [(200, b"ok")] * 30


async def test_no_more_connections_are_made_than_allowed() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url, max_connections=3) as pool:
        await asyncio.gather(*(fetch(pool) for _ in range(50)))
        assert server.connections <= 3


async def test_an_upstream_that_refuses_connections_is_unreachable() -> None:
    async with upstreams("http://127.0.0.1:1") as pool:
        assert await refusal_of(pool) is UPSTREAM_UNREACHABLE
        assert await refusal_of(pool, POST, b"x") is UPSTREAM_UNREACHABLE


async def test_another_target_is_tried_where_one_cannot_be_reached() -> None:
    async with serving(answering(OK)) as server, upstreams("http://127.0.0.1:1", server.url) as pool:
        for _ in range(4):
            assert await fetch(pool, POST, b"x") == (200, b"ok")


async def test_an_upstream_that_dies_before_the_head_is_502() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-")

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await refusal_of(pool) is UPSTREAM_CLOSED
        assert server.connections == 1


async def test_an_upstream_that_dies_after_the_head_never_looks_like_a_clean_end() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", GET, None)
        with pytest.raises(UpstreamAborted):
            [piece async for piece in response.chunks()]
        await response.aclose()


async def test_an_upstream_that_does_not_answer_in_time_is_504() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url, first_byte=0.05) as pool:
        assert await refusal_of(pool) is UPSTREAM_TIMEOUT
