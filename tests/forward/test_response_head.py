"""What is remembered of heads changes no verdict, keeps no secret, and is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forward import response_head
from gateway.forward.pool import OutboundHead
from gateway.forward.response import ResponseReader
from gateway.forward.response_head import (
    MAX_REMEMBERED,
    REMEMBERED,
    InvalidResponse,
    ResponseHead,
    read_response_head,
    remembered,
)

from .servers import GET, Peer, fetch, serving, upstreams

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"Content-Length: 5\r\n\r\n"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    response_head._heads.clear()
    yield
    response_head._heads.clear()


def head(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *lines, b"", b""])


def verdict(data: bytes, method: str = "GET", size: int = 0) -> tuple[ResponseHead | None, bytes, bool, bool, bool] | str:
    """What is made of the bytes of a response, in pieces of `size`; the fault where there is one."""
    reader, body, step = ResponseReader(method), b"", size or len(data) or 1
    try:
        for start in range(0, len(data), step):
            body += b"".join(reader.feed(data[start : start + step]))
    except InvalidResponse as error:
        return str(error)
    return reader.head, body, reader.complete, reader.persistent, reader.end()


def fresh(data: bytes, method: str = "GET", size: int = 0) -> object:
    response_head._heads.clear()
    return verdict(data, method, size)


# What is remembered


def test_a_head_is_read_once() -> None:
    assert read_response_head(FIVE) is read_response_head(bytes(bytearray(FIVE)))


def test_what_follows_from_it_is_worked_out_once() -> None:
    answer = read_response_head(head(b"Connection: x-a", b"X-A: 1", b"X-B: 1", b"X-Tenant: globex", b"Content-Length: 5"))
    assert answer.fields == ((b"x-b", b"1"), (b"content-length", b"5"))
    assert answer.names == {b"x-b", b"content-length"}
    assert answer.rendered == b"x-b: 1\r\ncontent-length: 5\r\n"
    assert answer.fields is answer.fields
    assert answer.rendered is answer.rendered


def test_a_head_without_headers_for_the_client_renders_as_nothing() -> None:
    assert read_response_head(head(b"Connection: close")).rendered == b""


@pytest.mark.parametrize(
    "name",
    [
        b"Set-Cookie",
        b"set-cookie2",
        b"Authentication-Info",
        b"X-Auth-Token",
        b"X-Csrf-Token",
        b"X-Api-Key",
        b"X-Amz-Security-Token",
        b"X-Session-Id",
        b"X-Client-Secret",
        b"Location",
        b"WWW-Authenticate",
    ],
)
def test_a_head_that_may_hold_a_secret_is_never_remembered(name: bytes) -> None:
    data = head(b"Content-Length: 5", name + b": hush")
    assert read_response_head(data) == read_response_head(data)
    assert remembered(data) is None
    assert not response_head._heads


def test_a_head_tells_nothing_of_its_headers_where_it_is_printed() -> None:
    assert "hush" not in repr(read_response_head(head(b"Set-Cookie: hush")))


def test_common_heads_are_remembered() -> None:
    data = head(
        b"Server: nginx",
        b"Date: Tue, 24 Nov 2026 12:00:00 GMT",
        b"Content-Type: application/json",
        b"Content-Length: 5",
        b"Connection: keep-alive",
        b"Vary: Cookie, Authorization",
        b"Cache-Control: no-store",
        b"X-Usage-Units: 3",
    )
    assert read_response_head(data) is remembered(data)


def test_interim_heads_are_not_remembered() -> None:
    ResponseReader("GET").feed(b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n" + FIVE)
    assert list(response_head._heads) == [FIVE]


def test_the_newest_heads_are_remembered_and_no_more() -> None:
    heads = [head(b"X-A: %d" % number) for number in range(REMEMBERED + 10)]
    for data in heads:
        read_response_head(data)
    assert list(response_head._heads) == heads[10:]


def test_long_heads_are_not_remembered() -> None:
    def of_size(size: int) -> bytes:
        return head(b"X-A: " + b"a" * (size - len(head(b"X-A: "))))

    read_response_head(of_size(MAX_REMEMBERED))
    assert remembered(of_size(MAX_REMEMBERED)) is not None
    read_response_head(of_size(MAX_REMEMBERED + 1))
    assert len(response_head._heads) == 1


def test_what_is_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(InvalidResponse):
            read_response_head(head(b"Content-Length: 5", b"Content-Length: 5"))
    assert not response_head._heads


# What a head says


@pytest.mark.parametrize(
    ("values", "units"),
    [([b"12"], 12), ([b"0"], 0), ([], None), ([b"1", b"1"], None), ([b"-1"], None), ([b"1.5"], None), ([b""], None),
     ([b"1" * 10], None), (["\u0661".encode()], None)],
)  # fmt: skip
def test_units_are_read_from_a_plain_number_only(values: list[bytes], units: int | None) -> None:
    assert read_response_head(head(*(b"X-Usage-Units: " + value for value in values))).usage_units == units


@pytest.mark.parametrize(
    ("data", "length", "chunked", "persistent"),
    [
        (FIVE, 5, False, True),
        (head(b"Transfer-Encoding: chunked"), None, True, True),
        (head(), None, False, True),
        (head(b"Content-Length: 5", b"Connection: close"), 5, False, False),
        (head(b"Content-Length: 5", start=b"HTTP/1.0 200 OK"), 5, False, False),
        (head(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified"), 0, False, True),
        (head(b"Transfer-Encoding: chunked", start=b"HTTP/1.1 204 No Content"), 0, False, True),
    ],
)
def test_a_head_tells_where_its_body_ends(data: bytes, length: int | None, chunked: bool, persistent: bool) -> None:
    answer = read_response_head(data)
    assert (answer.length, answer.chunked, answer.persistent) == (length, chunked, persistent)


def test_a_204_names_no_length_to_the_client() -> None:
    for _ in range(2):
        answer = read_response_head(head(b"Content-Length: 5", b"X-A: 1", start=b"HTTP/1.1 204 No Content"))
        assert (answer.length, answer.fields, answer.rendered) == (0, ((b"x-a", b"1"),), b"x-a: 1\r\n")


# Remembered or not, the verdict is the same

LINES = st.sampled_from(
    [
        b"Content-Length: 5",
        b"content-length: 0",
        b"Content-Length: +5",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Connection: close",
        b"Connection: keep-alive, x-a",
        b"X-A: 1",
        b"X-Usage-Units: 3",
        b"Set-Cookie: a=b",
        b" folded",
        b"X-B: \x01",
        b"X-C: \n",
    ]
)
STARTS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 X", b"HTTP/1.1 304 X", b"HTTP/1.1 101 X"])
HEADS = st.one_of(
    st.builds(lambda start, lines: head(*lines, start=start), STARTS, st.lists(LINES, max_size=4)),
    st.binary(max_size=60).map(lambda noise: OK + noise + b"\r\n\r\n"),
)
BODIES = st.sampled_from([b"", b"hell", b"hello", b"hello!", b"5\r\nhello\r\n0\r\n\r\n", FIVE])


@given(HEADS, BODIES, BODIES, st.sampled_from(["GET", "HEAD"]), st.sampled_from(["GET", "HEAD"]), st.integers(0, 9))
def test_a_remembered_head_reads_like_a_fresh_one(
    data: bytes, before: bytes, body: bytes, first: str, method: str, size: int
) -> None:
    expected = fresh(data + body, method, size)
    response_head._heads.clear()
    verdict(data + before, first)
    assert verdict(data + body, method, size) == expected


@given(st.binary(max_size=200))
def test_any_bytes_read_twice_are_read_alike(data: bytes) -> None:
    for start in (b"", OK):
        with suppress(InvalidResponse):
            read_response_head(start + data)
        assert verdict(start + data) == fresh(start + data)


# The same over a connection, which needs no reader where the answer comes at once


async def outcome(answer: bytes, method: str) -> tuple[list[object], int]:
    """What becomes of two requests of this method after a GET whose answer was FIVE, and how many connections that took."""
    answers = [FIVE + b"hello", answer, answer]

    async def handle(peer: Peer) -> None:
        while answers:
            await peer.head()
            await peer.say(answers.pop(0))
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url, first_byte=2, idle=0.05) as pool:
        assert await fetch(pool) == (200, b"hello")
        came: list[object] = []
        for _ in range(2):
            try:
                came.append(await fetch(pool, OutboundHead(method, b"/x", GET.headers)))
            except Exception as error:
                came.append(type(error).__name__)
        return came, server.connections


@pytest.mark.parametrize(
    ("answer", "method", "expected", "connections"),
    [
        pytest.param(FIVE + b"hello", "GET", (200, b"hello"), 1, id="whole"),
        pytest.param(FIVE, "HEAD", (200, b""), 1, id="HEAD after GET"),
        pytest.param(FIVE + b"hello", "HEAD", "Refused", 2, id="a body after HEAD"),
        pytest.param(FIVE + b"hello!", "GET", "Refused", 2, id="too long"),
        pytest.param(FIVE + b"hello" + FIVE, "GET", "Refused", 2, id="a second response"),
        pytest.param(FIVE + b"hell", "GET", "UpstreamAborted", 2, id="too short"),
        pytest.param(FIVE, "GET", "UpstreamAborted", 2, id="no body"),
    ],
)
async def test_a_known_head_with_another_body_is_judged_by_what_has_come(
    answer: bytes, method: str, expected: object, connections: int
) -> None:
    assert remembered(FIVE) is None
    assert await outcome(answer, method) == ([expected, expected], connections)
    assert remembered(FIVE) is not None


async def test_a_known_head_whose_body_comes_later_is_waited_for() -> None:
    async def handle(peer: Peer) -> None:
        for cut in (len(FIVE) + 5, len(FIVE) + 2, len(FIVE), 7):
            await peer.head()
            await peer.say((FIVE + b"hello")[:cut])
            await asyncio.sleep(0.02)
            await peer.say((FIVE + b"hello")[cut:])
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert [await fetch(pool) for _ in range(4)] == [(200, b"hello")] * 4
        assert server.connections == 1


async def test_an_answer_under_a_known_head_before_the_request_has_ended_costs_the_connection() -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(FIVE + b"hello")
        await peer.gone()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    read_response_head(FIVE)
    async with serving(handle) as server, upstreams(server.url) as pool:
        assert await fetch(pool, OutboundHead("POST", b"/x", GET.headers), body()) == (200, b"hello")
        assert await fetch(pool) == (200, b"hello")
        assert server.connections == 2


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 304 X\r\n\r\n"])
async def test_a_known_head_without_a_body_completes_at_once(answer: bytes) -> None:
    async def handle(peer: Peer) -> None:
        for _ in range(3):
            await peer.head()
            await peer.say(answer)
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert [(await fetch(pool))[1] for _ in range(3)] == [b""] * 3
        assert server.connections == 1


async def test_a_known_head_that_closes_ends_its_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)
        await peer.gone()

    async with serving(handle) as server, upstreams(server.url) as pool:
        assert [await fetch(pool) for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 3
