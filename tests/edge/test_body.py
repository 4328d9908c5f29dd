from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import sha256

import pytest
from starlette.types import Message, Receive

from gateway.edge.body import Body, ClientGone, cancelled_when_gone
from gateway.errors import Refused
from gateway.pipeline.question import SMALL_BODY


def receiving(messages: Iterable[Message]) -> Receive:
    waiting = iter(messages)

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def pieces(*parts: bytes) -> list[Message]:
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": n < last} for n, part in enumerate(parts)]


async def read(body: Body) -> bytes:
    return b"".join([piece async for piece in body.chunks()])


async def test_a_body_streams_piece_by_piece() -> None:
    body = Body(receiving(pieces(b"ab", b"", b"cd")), None, 1)
    assert [piece async for piece in body.chunks()] == [b"ab", b"cd"]
    assert body.complete


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    body = Body(receiving([]), 11, 1)
    with pytest.raises(Refused, match="BODY_TOO_LARGE"):
        body.limit(10)


async def test_a_body_that_grows_over_the_limit_is_refused() -> None:
    body = Body(receiving(pieces(b"12345", b"678901")), None, 1)
    body.limit(10)
    with pytest.raises(Refused, match="BODY_TOO_LARGE"):
        await read(body)


@pytest.mark.parametrize("size", [0, 3, SMALL_BODY, SMALL_BODY + 1])
async def test_a_small_body_is_seen_whole_and_a_larger_one_not_at_all(size: int) -> None:
    content = b"x" * size
    body = Body(receiving(pieces(content[:2], content[2:])), None, 1)
    assert (await body.whole(1 << 23)).content == (content if size <= SMALL_BODY else None)
    assert await read(body) == content
    body.close()


async def test_a_body_that_is_read_whole_is_forwarded_whole() -> None:
    content = bytes(range(256)) * 10_000  # larger than what stays in memory
    body = Body(receiving(pieces(content[:100], content[100:])), None, 1)
    assert (await body.whole(1 << 23)).sha256 == sha256(content).hexdigest()
    assert body.length == len(content)
    assert await read(body) == content
    body.close()


async def test_a_body_that_stands_still_is_refused() -> None:
    body = Body(receiving([]), 5, 0)
    with pytest.raises(Refused, match="REQUEST_TIMEOUT"):
        await read(body)


async def test_a_client_that_leaves_in_the_middle_is_noticed() -> None:
    body = Body(receiving([*pieces(b"ab", b"cd")[:1], {"type": "http.disconnect"}]), 4, 1)
    with pytest.raises(ClientGone):
        await read(body)


async def test_work_is_cancelled_when_the_client_leaves() -> None:
    leave = asyncio.Event()

    async def receive() -> Message:
        await leave.wait()
        return {"type": "http.disconnect"}

    body = Body(receive, 0, 1)
    cancelled = asyncio.Event()

    async def work() -> None:
        async with cancelled_when_gone(body):
            try:
                leave.set()
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    with pytest.raises(ClientGone):
        await work()
    assert cancelled.is_set()


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def work() -> None:
        async with cancelled_when_gone(Body(receiving([]), 0, 1)):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_its_content_can_be_had_whole_also_where_it_was_read_for_a_signature() -> None:
    assert await Body(receiving(pieces(b"ab", b"cd")), None, 1).content(4) == b"abcd"
    signed = Body(receiving(pieces(b"ab", b"cd")), None, 1)
    await signed.whole(10)
    assert await signed.content(4) == b"abcd"
    signed.close()
    with pytest.raises(Refused, match="BODY_TOO_LARGE"):
        await Body(receiving(pieces(b"abc", b"de")), None, 1).content(4)
