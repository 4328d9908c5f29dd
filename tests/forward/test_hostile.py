"""Upstreams that do whatever they like, and clients that go away at any moment: the pool goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from gateway.errors import Refused
from gateway.forward.pool import OutboundHead, UpstreamAborted, Upstreams

from .servers import GET, OK, POST, Handler, Peer, fetch, serving, upstreams

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SPLINTERS = [b"\n", b"\r\n", b"\0", b"x", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", OK]
QUICK = {
    "max_connections": 4,
    "keep_alive": "50ms",
    "lifetime": "200ms",
    "health": {
        "passive": {"failures": 3, "eject": "20ms", "longest": "100ms"},
        "active": {"path": "/healthz", "interval": "20ms"},
    },
}


def hostile(chance: Random) -> Handler:
    def spoilt(answer: bytes) -> bytes:
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(answer))
            answer = answer[:at] + chance.choice([chance.randbytes(1), *SPLINTERS]) + answer[at + chance.randint(0, 3) :]
        return answer

    async def handle(peer: Peer) -> None:
        while True:
            if b"chunked" in await peer.head() and chance.random() < 0.7:
                await peer.reader.readuntil(b"0\r\n\r\n")
            match chance.randrange(12):
                case 0:
                    return
                case 1:
                    peer.reset()
                case 2:
                    await peer.say(OK[: chance.randrange(len(OK))])
                    return
                case 3:
                    await peer.say(spoilt(OK), spoilt(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"))
                case 4:
                    await peer.say(chance.randbytes(300))
                case 5:
                    await peer.say(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000)
                case 6:
                    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000))
                case 7:
                    await peer.say(CHUNKED + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
                case 8:
                    await asyncio.sleep(0.2)
                case _:
                    await peer.say(OK)

    return handle


async def ask(pool: Upstreams, chance: Random) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(chance.randint(1, 3)):
            yield b"x" * chance.choice([1, 1000, 300_000])

    head = chance.choice([GET, POST, replace(POST, method="PUT"), OutboundHead("HEAD", b"/", [(b"Host", b"a.example")])])
    given = body() if head.method in ("POST", "PUT") and chance.random() < 0.5 else None
    with suppress(Refused, UpstreamAborted):
        response = await pool.send("u", head, given)
        try:
            async for _ in response.chunks():
                if chance.random() < 0.01:
                    break
        finally:
            await response.aclose()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_upstreams_and_clients_do_the_next_request_is_served(seed: int) -> None:
    chance, is_over = Random(seed), False
    wild = hostile(chance)

    async def handle(peer: Peer) -> None:
        if not is_over:
            await wild(peer)
            return
        while True:
            await peer.head()
            await peer.say(OK)

    async def client(pool: Upstreams) -> None:
        for _ in range(15):
            request = asyncio.create_task(ask(pool, chance))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() / 100)
                request.cancel()
            await asyncio.wait([request])
            assert request.cancelled() or request.exception() is None

    async with (
        serving(handle) as one,
        serving(handle) as two,
        upstreams(one.url, two.url, first_byte=0.1, idle=0.1, **QUICK) as pool,
    ):
        pool.start()
        async with asyncio.timeout(60):
            await asyncio.gather(*(client(pool) for _ in range(12)))
        is_over = True
        await asyncio.sleep(0.3)  # more than the life of a connection
        assert [status.outstanding for status in pool.health()] == [0, 0]
        assert await asyncio.gather(*(fetch(pool) for _ in range(20))) == [(200, b"ok")] * 20
