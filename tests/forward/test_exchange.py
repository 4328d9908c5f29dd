from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_INVALID_RESPONSE, UPSTREAM_TIMEOUT, Refused
from gateway.forward.pool import OutboundHead, UpstreamAborted, Upstreams

from .servers import GET, OK, POST, Peer, answering, certificate, fetch, pieces, refusal_of, serving, upstreams

MIB = 1 << 20
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def received_by_upstream(head: OutboundHead, body: AsyncIterator[bytes] | bytes | None) -> bytes:
    """Every byte of the request."""
    seen = bytearray()

    async def handle(peer: Peer) -> None:
        seen.extend(await peer.head())
        if b"Transfer-Encoding" in seen:
            seen.extend(await peer.reader.readuntil(b"0\r\n\r\n"))
        elif b"Content-Length: " in seen:
            seen.extend(await peer.reader.readexactly(int(seen.split(b"Content-Length: ")[1].split(b"\r\n")[0])))
        await peer.say(OK)
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", head, body)
        assert [piece async for piece in response.chunks()] == [b"ok"]
        await response.aclose()
    return bytes(seen)


async def test_the_target_goes_out_byte_for_byte() -> None:
    target = b'/a%2Fb/;x=1/%7e?q=a+b&&[{}]|^`"<>?#'
    sent = await received_by_upstream(replace(GET, target=target), None)
    assert sent == b"GET " + target + b" HTTP/1.1\r\nHost: a.example\r\n\r\n"


async def test_a_body_at_hand_keeps_its_length() -> None:
    assert (
        await received_by_upstream(POST, b"hello") == b"POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"
    )


async def test_a_missing_body_is_said_where_one_is_expected() -> None:
    assert (await received_by_upstream(POST, None)).endswith(b"\r\nContent-Length: 0\r\n\r\n")


async def test_a_streamed_body_of_known_length_keeps_its_length() -> None:
    sent = await received_by_upstream(replace(POST, length=10), pieces(b"hello", b"", b"world"))
    assert sent.endswith(b"\r\nContent-Length: 10\r\n\r\nhelloworld")


async def test_a_streamed_body_of_unknown_length_goes_out_in_chunks() -> None:
    sent = await received_by_upstream(POST, pieces(b"hello", b"", b"w" * 17))
    assert sent.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n11\r\n" + b"w" * 17 + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("parts", [(b"hello", b"worlds"), (b"hello",)])
async def test_a_body_of_another_length_than_declared_never_makes_a_complete_request(parts: tuple[bytes, ...]) -> None:
    after: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handle(peer: Peer) -> None:
        await peer.head()
        after.set_result(await peer.gone())

    async with serving(handle) as server, upstreams(server.url) as pool:
        with pytest.raises(ValueError, match="declared"):
            await pool.send("u", replace(POST, length=10), pieces(*parts))
        assert len(await after) < 10


async def test_a_body_that_fails_never_makes_a_complete_request() -> None:
    after: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class TooLarge(Exception):
        pass

    async def failing() -> AsyncIterator[bytes]:
        yield b"hello"
        raise TooLarge

    async def handle(peer: Peer) -> None:
        await peer.head()
        after.set_result(await peer.gone())

    async with serving(handle) as server, upstreams(server.url) as pool:
        with pytest.raises(TooLarge):
            await pool.send("u", POST, failing())
        assert not (await after).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("field", [(b"X-A", b"b\r\nX-Tenant: globex"), (b"X-A", b"b\nc"), (b"X-A", b"b\0"), (b"X\r\nA", b"b")])
async def test_a_header_cannot_smuggle_another_one(field: tuple[bytes, bytes]) -> None:
    async with serving(answering(OK)) as server, upstreams(server.url) as pool:
        with pytest.raises(ValueError, match="line break"):
            await pool.send("u", replace(GET, headers=[field]), None)
        assert server.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL and TE"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="bare LF"),
        pytest.param(OK + b"extra", id="extra bytes"),
        pytest.param(OK + OK, id="second response"),
        pytest.param(CHUNKED + b"0\r\n\r\nextra", id="extra bytes after chunks"),
        pytest.param(b"hello", id="HTTP/0.9"),
    ],
)
async def test_an_answer_that_is_not_well_formed_is_502_and_its_connection_dropped(answer: bytes) -> None:
    dropped = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)
        await peer.gone()
        dropped.set()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await refusal_of(pool) is UPSTREAM_INVALID_RESPONSE
        async with asyncio.timeout(5):
            await dropped.wait()


async def test_an_upstream_that_dies_before_the_head_is_502() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-")

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await refusal_of(pool) is UPSTREAM_CLOSED
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", CHUNKED + b"4\r\nhalf\r\n", CHUNKED + b"4\r\nhalf\r\n0\r\n"],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_an_upstream_that_dies_after_the_head_never_looks_like_a_clean_end(answer: bytes, reset: bool) -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)
        if reset:
            await go.wait()
            peer.reset()

    go = asyncio.Event()
    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", GET, None)
        go.set()
        with pytest.raises(UpstreamAborted) as caught:
            [piece async for piece in response.chunks()]
        assert caught.value.problem is UPSTREAM_CLOSED
        await response.aclose()


async def test_a_body_until_the_connection_ends_is_passed_on_but_not_where_that_breaks() -> None:
    headed = asyncio.Event()

    async def handle(peer: Peer) -> None:
        head = await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if b"/broken" in head:
            await headed.wait()
            peer.reset()
            return
        peer.writer.write_eof()
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await fetch(pool) == (200, b"hello")
        response = await pool.send("u", replace(GET, target=b"/broken"), None)
        headed.set()
        with pytest.raises(UpstreamAborted):
            [piece async for piece in response.chunks()]
        await response.aclose()


async def test_a_body_until_the_connection_ends_ends_over_tls_only_where_the_upstream_says_so(tmp_path: Path) -> None:
    headed = asyncio.Event()

    async def handle(peer: Peer) -> None:
        head = await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if b"/cut" in head:
            await headed.wait()
            peer.cut_off()
        else:
            peer.writer.close()
        await peer.gone()

    tls = certificate(tmp_path / "pem", "localhost")
    async with serving(handle, tls) as server, upstreams(f"https://localhost:{server.port}", ca_file=tls) as pool:
        assert await fetch(pool) == (200, b"hello")
        response = await pool.send("u", replace(GET, target=b"/cut"), None)
        headed.set()
        with pytest.raises(UpstreamAborted):
            [piece async for piece in response.chunks()]
        await response.aclose()


async def silent(peer: Peer) -> None:
    await peer.gone()


async def stopping_halfway(peer: Peer) -> None:
    await peer.head()
    await peer.say(CHUNKED + b"4\r\nhalf\r\n")
    await peer.gone()


async def test_an_upstream_that_does_not_answer_in_time_is_504() -> None:
    async with serving(silent) as server, upstreams(server.url, first_byte=0.05) as pool:
        assert await refusal_of(pool) is UPSTREAM_TIMEOUT
        assert await refusal_of(pool, POST, b"x") is UPSTREAM_TIMEOUT


async def test_a_head_that_trickles_in_does_not_extend_the_time() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        while True:
            await peer.say(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.02)

    async with serving(handle) as server, upstreams(server.url, first_byte=0.1) as pool:
        async with asyncio.timeout(5):
            assert await refusal_of(pool) is UPSTREAM_TIMEOUT


async def test_an_upstream_that_stops_in_the_middle_breaks_off() -> None:
    async with serving(stopping_halfway) as server, upstreams(server.url, idle=0.05) as pool:
        with pytest.raises(UpstreamAborted) as caught:
            await fetch(pool)
        assert caught.value.problem is UPSTREAM_TIMEOUT


async def test_an_upstream_that_takes_no_body_is_504() -> None:
    async with serving(asleep) as server, upstreams(server.url, idle=0.1) as pool:
        with pytest.raises(Refused) as caught:
            await pool.send("u", POST, zeros(64 * MIB, []))
        assert caught.value.problem is UPSTREAM_TIMEOUT


async def test_a_client_that_sends_slowly_is_not_the_upstreams_fault() -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.05)
            yield b"x"

    async with serving(echo) as server, upstreams(server.url, idle=0.03, first_byte=0.2) as pool:
        response = await pool.send("u", POST, slow())
        assert b"".join([piece async for piece in response.chunks()]) == b"xxxx"
        await response.aclose()


async def asleep(peer: Peer) -> None:
    await peer.head()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def zeros(size: int, taken: list[int]) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        taken.append(65536)
        yield bytes(65536)


async def echo(peer: Peer) -> None:
    """Sends each chunk of the body back while the next ones are still coming."""
    await peer.head()
    await peer.say(CHUNKED)
    size = -1
    while size:
        line = await peer.reader.readuntil(b"\r\n")
        size = int(line, 16)
        await peer.say(line + await peer.reader.readexactly(size + 2))


async def test_a_body_may_be_answered_while_it_is_sent() -> None:
    async with serving(echo) as server, upstreams(server.url) as pool:
        response = await pool.send("u", POST, zeros(20 * MIB, []))
        assert sum([len(piece) async for piece in response.chunks()]) == 20 * MIB
        await response.aclose()
        assert await fetch_size(pool, zeros(MIB, [])) == MIB
        assert server.connections == 2  # `echo` serves one request


async def fetch_size(pool: Upstreams, body: AsyncIterator[bytes]) -> int:
    response = await pool.send("u", POST, body)
    size = sum([len(piece) async for piece in response.chunks()])
    await response.aclose()
    return size


async def test_an_early_answer_stops_the_upload_and_its_connection_is_not_used_again() -> None:
    taken: list[int] = []

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", POST, endless(taken))
        assert response.answer.status == 413
        assert [piece async for piece in response.chunks()] == [b"no"]
        await response.aclose()
        count = len(taken)
        await asyncio.sleep(0.02)
        assert len(taken) == count
        await fetch(pool)
        assert server.connections == 2


async def endless(taken: list[int]) -> AsyncIterator[bytes]:
    while True:
        taken.append(1)
        yield b"x"
        await asyncio.sleep(0.001)


async def test_a_slow_reader_of_100_mib_holds_the_upstream_back() -> None:
    sent = 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(1600):
            await peer.say(bytes(65536))
            sent += 65536
        await peer.gone()  # hanging up now would throw away what is not sent yet

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", GET, None)
        await asyncio.sleep(0.3)
        assert sent < 16 * MIB
        read = 0
        async for piece in response.chunks():
            read += len(piece)
            assert sent - read < 16 * MIB
        assert read == 100 * MIB
        await response.aclose()


async def test_a_client_that_reads_slowly_is_not_the_upstreams_fault() -> None:
    size = MIB  # more than is kept before the upstream is stopped, and no more than the sockets hold
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with serving(answering(answer)) as server, upstreams(server.url, idle=0.3) as pool:
        response = await pool.send("u", GET, None)
        await asyncio.sleep(0.5)
        assert sum([len(piece) async for piece in response.chunks()]) == size
        await response.aclose()


async def test_a_slow_upstream_holds_the_client_back() -> None:
    taken: list[int] = []
    async with serving(asleep) as server, upstreams(server.url) as pool:
        sending = asyncio.create_task(pool.send("u", POST, zeros(100 * MIB, taken)))
        await asyncio.sleep(0.3)
        assert 0 < sum(taken) < 16 * MIB
        sending.cancel()
        await asyncio.wait([sending])


async def test_pieces_are_passed_on_as_they_come() -> None:
    more = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(CHUNKED)
        for number in range(3):
            await peer.say(b"9\r\ndata: %d\n\n\r\n" % number)
            await more.wait()
            more.clear()
        await peer.say(b"0\r\n\r\n")
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", GET, None)
        events = []
        async for piece in response.chunks():
            events.append(piece)
            more.set()
        assert events == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
        await response.aclose()


async def test_a_response_that_is_closed_early_drops_its_connection() -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(CHUNKED + b"4\r\nhalf\r\n")
        await peer.gone()
        gone.set()

    async with serving(handle) as server, upstreams(server.url) as pool:
        response = await pool.send("u", GET, None)
        await response.aclose()
        async with asyncio.timeout(5):
            await gone.wait()


async def test_timings_tell_a_new_connection_from_one_used_again() -> None:
    async with serving(answering(OK)) as server, upstreams(server.url) as pool:
        connects = []
        for _ in range(2):
            response = await pool.send("u", GET, None)
            [piece async for piece in response.chunks()]
            await response.aclose()
            connects.append(response.timings.connect)
            assert response.timings.first_byte is not None
            assert 0 < response.timings.first_byte < 5
        assert connects[0] is not None
        assert connects[1] is None
