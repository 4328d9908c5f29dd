from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from gateway.errors import (
    SHUTTING_DOWN,
    UPSTREAM_BUSY,
    UPSTREAM_CLOSED,
    UPSTREAM_INVALID_RESPONSE,
    UPSTREAM_TIMEOUT,
    UPSTREAM_UNREACHABLE,
    Refused,
)
from gateway.forward import target
from gateway.forward.exchange import Exchange
from gateway.forward.pool import NotSent, OutboundHead, UpstreamResponse, Upstreams

from .servers import GET, OK, POST, Peer, answering, certificate, fetch, pieces, refusal_of, serving, upstreams


async def test_a_connection_is_used_again() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url) as pool:
        assert [await fetch(pool) for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 1


async def test_a_request_is_never_sent_before_the_answer_to_the_one_before() -> None:
    async def handle(peer: Peer) -> None:
        for _ in range(4):
            await peer.head()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await peer.reader.read(1)
            await peer.say(OK)

    async with serving(handle) as server, upstreams(server.url, max_connections=1) as pool:
        assert await asyncio.gather(*(fetch(pool) for _ in range(4))) == [(200, b"ok")] * 4
        assert server.connections == 1


async def test_a_cookie_of_one_answer_goes_with_no_other_request() -> None:
    heads = []

    async def handle(peer: Peer) -> None:
        while True:
            heads.append(await peer.head())
            await peer.say(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=acme\r\n\r\n"))

    async with serving(handle) as server, upstreams(server.url) as pool:
        for _ in range(2):
            await fetch(pool)
        assert heads[0] == heads[1]
        assert server.connections == 1


async def test_a_connection_that_the_upstream_closes_is_not_used_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, upstreams(server.url) as pool:
        await fetch(pool)
        await fetch(pool)
        assert server.connections == 2


async def test_whoever_waits_is_served_also_where_no_connection_comes_back() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with serving(answering(answer)) as server, upstreams(server.url, max_connections=1) as pool:
        assert await asyncio.gather(*(fetch(pool) for _ in range(5))) == [(200, b"ok")] * 5
        assert server.connections == 5


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


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_is_cancelled_at_any_moment_gives_its_place_back(streamed: bool) -> None:
    async def handle(peer: Peer) -> None:
        while True:
            head = await peer.head()
            if b"chunked" in head:
                await peer.reader.readuntil(b"0\r\n\r\n")
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            await peer.say(b"o")
            await asyncio.sleep(0)
            await peer.say(b"k")

    async with serving(handle) as server, upstreams(server.url, max_connections=2) as pool:
        for turns in range(60):
            tasks = [asyncio.create_task(fetch(pool, POST, pieces(b"x", b"y") if streamed else b"xy")) for _ in range(5)]
            for _ in range(turns % 30):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert pool.health()[0].outstanding <= 2  # connections that are being dropped
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(fetch(pool) for _ in range(10))) == [(200, b"ok")] * 10


async def test_no_more_connections_are_made_than_allowed() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url, max_connections=3) as pool:
        await asyncio.gather(*(fetch(pool) for _ in range(50)))
        assert server.connections <= 3


async def test_an_upstream_that_refuses_connections_is_unreachable() -> None:
    async with upstreams("http://127.0.0.1:1") as pool:
        assert await refusal_of(pool) is UPSTREAM_UNREACHABLE
        assert await refusal_of(pool, POST, b"x") is UPSTREAM_UNREACHABLE


async def test_only_a_request_of_which_nothing_went_out_is_told_as_not_sent() -> None:
    async with upstreams("http://127.0.0.1:1") as pool:
        with pytest.raises(NotSent):
            await fetch(pool, POST)

    async def silent(peer: Peer) -> None:
        await peer.head()

    async with serving(silent) as server, upstreams(server.url) as pool:
        with pytest.raises(Refused) as refused:
            await fetch(pool, POST)
        assert not isinstance(refused.value, NotSent)


async def test_a_request_that_was_sent_before_it_was_retried_may_have_arrived() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        listener.close()
        writer.close()

    listener = await asyncio.start_server(once, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with upstreams(f"http://127.0.0.1:{port}") as pool:
        await fetch(pool)
        with pytest.raises(Refused) as refused:
            await fetch(pool, replace(GET, method="DELETE"))
        assert refused.value.problem is UPSTREAM_UNREACHABLE
        assert not isinstance(refused.value, NotSent)


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example ESMTP\r\n"])
async def test_a_target_that_hangs_up_or_speaks_at_once_costs_no_place_in_the_pool(tmp_path: Path, greeting: bytes) -> None:
    """With TLS 1.2 what it says comes with the last bytes of the handshake, before the connection has been handed out."""

    class Hasty(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast(asyncio.Transport, transport).write(greeting)
            transport.close()

    tls = certificate(tmp_path / "pem", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls)
    server = await asyncio.get_running_loop().create_server(Hasty, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, upstreams(url, max_connections=2, ca_file=tls) as pool:
        for _ in range(4):
            async with asyncio.timeout(2):
                assert await refusal_of(pool, POST, b"x") in (UPSTREAM_CLOSED, UPSTREAM_INVALID_RESPONSE)
        assert pool.health()[0].outstanding == 0


async def test_another_target_is_tried_where_one_cannot_be_reached() -> None:
    async with serving(answering(OK)) as server, upstreams("http://127.0.0.1:1", server.url) as pool:
        for _ in range(4):
            assert await fetch(pool, POST, b"x") == (200, b"ok")


async def test_a_request_that_waits_too_long_for_a_free_connection_is_503_and_leaves_the_queue() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url, max_connections=1, connect=0.05) as pool:
        first = asyncio.create_task(fetch(pool))
        await asyncio.sleep(0)
        with pytest.raises(NotSent) as refused:
            await fetch(pool)
        assert (refused.value.problem, refused.value.retry_after) == (UPSTREAM_BUSY, 1)
        first.cancel()
        await asyncio.wait([first])


async def test_a_target_that_takes_no_connection_is_504() -> None:
    with socket.socket() as deaf, socket.socket() as filling:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        filling.connect(deaf.getsockname())
        async with upstreams(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect=0.05) as pool:
            assert await refusal_of(pool) is UPSTREAM_TIMEOUT


async def test_more_requests_than_may_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "MAX_WAITING", 2)
    begun, release = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        while True:
            await peer.head()
            begun.set()
            await release.wait()
            await peer.say(OK)

    async with serving(handle) as server, upstreams(server.url, max_connections=1) as pool:
        first = asyncio.create_task(fetch(pool))
        await begun.wait()
        waiting = [asyncio.create_task(fetch(pool)) for _ in range(2)]
        await asyncio.sleep(0)
        assert await refusal_of(pool) is UPSTREAM_BUSY
        release.set()
        assert await asyncio.gather(first, *waiting) == [(200, b"ok")] * 3


async def test_a_pool_that_closes_refuses_those_who_wait_and_connects_no_more() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with serving(handle) as one, serving(handle) as two, upstreams(one.url, two.url, max_connections=1) as pool:
        requests = [asyncio.create_task(fetch(pool)) for _ in range(6)]
        async with asyncio.timeout(5):
            while one.connections + two.connections < 2:
                await asyncio.sleep(0.01)
        closing = asyncio.create_task(pool.close())
        refusals = await asyncio.gather(*requests, return_exceptions=True)
        await closing
        told = [refusal.problem for refusal in refusals if isinstance(refusal, Refused)]
        assert told.count(SHUTTING_DOWN) == 4
        assert await refusal_of(pool) is SHUTTING_DOWN
        assert (one.connections, two.connections) == (1, 1)


async def test_an_idle_connection_that_the_upstream_closed_is_discarded_and_a_post_succeeds() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(OK)

    async with serving(handle) as server, upstreams(server.url) as pool:
        for _ in range(3):
            assert await fetch(pool, POST) == (200, b"ok")
            await asyncio.sleep(0.05)
        assert server.connections == 3


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(OK)
        await peer.gone()
        gone.set()

    async with serving(handle) as server, upstreams(server.url, keep_alive="50ms") as pool:
        await fetch(pool)
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_connection_that_is_never_idle_is_replaced_when_its_life_is_over() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url, lifetime="50ms") as pool:
        async with asyncio.timeout(5):
            while server.connections < 3:
                assert await fetch(pool) == (200, b"ok")


async def test_an_idle_connection_is_closed_when_its_life_is_over() -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(OK)
        await peer.gone()
        gone.set()

    async with serving(handle) as server, upstreams(server.url, lifetime="50ms", keep_alive="1h") as pool:
        await fetch(pool)
        async with asyncio.timeout(5):
            await gone.wait()


async def test_an_answer_outlasts_the_life_of_its_connection() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0.05)
        await peer.say(b"ok")

    async with serving(handle) as server, upstreams(server.url, lifetime="1ms") as pool:
        assert await fetch(pool) == (200, b"ok")


def test_lives_that_begin_together_do_not_end_together() -> None:
    lives = [target.shortened(10.0) for _ in range(100)]
    assert all(8 <= life <= 10 for life in lives)
    assert max(lives) - min(lives) > 1


async def test_what_an_idle_connection_receives_is_never_an_answer() -> None:
    """The next request must not be given what nobody had asked for."""

    async def handle(peer: Peer) -> None:
        for _ in range(2):
            await peer.head()
            await peer.say(OK)
            await asyncio.sleep(0.02)
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")

    async with serving(handle) as server, upstreams(server.url) as pool:
        for _ in range(3):
            assert await fetch(pool) == (200, b"ok")
            await asyncio.sleep(0.06)
        assert server.connections == 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_an_idempotent_request_is_sent_once_more_on_a_stale_connection(method: str) -> None:
    async with serving(hanging_up_at_the_second_request) as server, upstreams(server.url) as pool:
        head = OutboundHead(method, b"/x", [(b"Host", b"a")])
        assert (await fetch(pool, head))[0] == 200
        assert (await fetch(pool, head))[0] == 200
        assert server.connections == 2


@pytest.mark.parametrize(("head", "body"), [(POST, None), (POST, b"x"), (replace(POST, method="PATCH"), b"x")])
async def test_what_is_not_idempotent_is_never_sent_twice(head: OutboundHead, body: bytes | None) -> None:
    async with serving(hanging_up_at_the_second_request) as server, upstreams(server.url) as pool:
        await fetch(pool)
        assert await refusal_of(pool, head, body) is UPSTREAM_CLOSED
        assert server.connections == 1


async def fetch_ready(pool: Upstreams, method: str, opening: bytes) -> None:
    response = UpstreamResponse()
    await response.opened(Exchange(pool.chooser("u"), method, opening, response), None)
    async for _ in response.chunks():
        pass
    await response.aclose()


async def test_a_request_whose_bytes_are_ready_goes_out_as_it_is() -> None:
    opening, seen = b"POST /y HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi", list[bytes]()

    async def handle(peer: Peer) -> None:
        seen.append(await peer.reader.readexactly(len(opening)))
        await peer.say(OK)
        seen.append(await peer.gone())

    async with serving(handle) as server, upstreams(server.url) as pool:
        await fetch_ready(pool, "POST", opening)
    assert seen[0] == opening


async def test_a_request_whose_bytes_are_ready_is_sent_once_more_only_where_its_method_allows() -> None:
    for method, connections in (("PUT", 2), ("POST", 1)):
        async with serving(hanging_up_at_the_second_request) as server, upstreams(server.url) as pool:
            await fetch(pool)
            with nullcontext() if method == "PUT" else pytest.raises(Refused):
                await fetch_ready(pool, method, method.encode() + b" /y HTTP/1.1\r\nHost: a.example\r\n\r\n")
            assert server.connections == connections


async def test_a_request_whose_body_was_streamed_is_never_sent_twice() -> None:
    async with serving(hanging_up_at_the_second_request) as server, upstreams(server.url) as pool:
        await fetch(pool)
        with pytest.raises(Refused):
            await pool.send("u", replace(GET, method="PUT"), pieces(b"x"))
        assert server.connections == 1


async def test_a_fresh_connection_is_not_tried_twice() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await refusal_of(pool) is UPSTREAM_CLOSED
        assert server.connections == 1


async def test_the_requests_go_to_the_targets_in_turn_and_to_the_least_busy() -> None:
    async with serving(answering(OK)) as one, serving(answering(OK)) as two, upstreams(one.url, two.url) as pool:
        for _ in range(4):
            await fetch(pool)
        assert (one.connections, two.connections) == (1, 1)


async def test_a_certificate_is_verified(tmp_path: Path) -> None:
    good, other = certificate(tmp_path / "good", "localhost"), certificate(tmp_path / "other", "localhost")
    async with serving(answering(OK), tls=good) as server:
        url = f"https://localhost:{server.port}"
        async with upstreams(url, ca_file=good) as pool:
            assert await fetch(pool) == (200, b"ok")
        for faulty, authority in ((url, other), (url, None), (f"https://127.0.0.1:{server.port}", good)):
            async with upstreams(faulty, ca_file=authority) as pool:
                assert await refusal_of(pool) is UPSTREAM_UNREACHABLE


async def hanging_up_at_the_second_request(peer: Peer) -> None:
    await peer.head()
    await peer.say(OK.replace(b"Content-Length: 2", b"Content-Length: 0").removesuffix(b"ok"))
    await peer.head()
