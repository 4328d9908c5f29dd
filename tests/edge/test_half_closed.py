"""Answers that only the end of the connection ends."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from tests.edge.test_connection import serving


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64):
        await send({"type": "http.response.body", "body": b"b" * 100_000, "more_body": True})
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b""})


async def test_a_cut_answer_that_the_end_of_the_connection_ends_does_not_look_whole() -> None:
    async with serving(stream, body_idle=5) as (reader, writer, _):
        writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        writer.write_eof()
        try:
            got = await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            return
        body = got.partition(b"\r\n\r\n")[2]
        assert len(body) in (0, 6_400_000)


async def test_the_same_where_the_client_ends_its_side_in_the_middle() -> None:
    async with serving(stream, body_idle=5) as (reader, writer, _):
        writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write_eof()
        try:
            got = await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            return
        body = got.partition(b"\r\n\r\n")[2]
        assert len(body) == 6_400_000
