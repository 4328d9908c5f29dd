"""Whatever an upstream answers, the client is given the same whether its request took the short cut or not, and it is counted
once."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.e2e.stage import Connection

from .stand import OK, Client, Counted, Play, Stand, head, saying

TEXT = b"Content-Type: text/plain\r\n"
# What leaves the short cut, and what does not.
LEAVES: dict[str, tuple[bytes, ...]] = {
    "a status nobody knows": (b"HTTP/1.1 299 Strange\r\nContent-Length: 2\r\n\r\nok",),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",),
    "an interim head first, late": (b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "no content": (b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",),
    "not modified": (b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',),
    "500": (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\noh",),
    "503 without a body": (b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",),
    "limits of its own": (b"HTTP/1.1 200 OK\r\nRateLimit: 1\r\nX-RateLimit-Limit: 7\r\nContent-Length: 2\r\n\r\nok",),
    "the body later": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"),
    "the body in two": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", b"k"),
}
STAYS: dict[str, tuple[bytes, ...]] = {
    "a request id of its own": (b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok",),
    "a cookie": (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok",),
    "a vary": (b"HTTP/1.1 200 OK\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok",),
    "a date": (b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok",),
    "no body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",),
    "an interim head": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",),
    "the head in two": (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 2\r\n\r\nok"),
    "identity and hop": (
        b"HTTP/1.1 200 OK\r\nX-Tenant: evil\r\nKeep-Alive: 5\r\nConnection: X-B\r\nX-B: 1\r\nContent-Length: 2\r\n\r\nok",
    ),
    "a redirect": (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nok",),
    "not found": (b"HTTP/1.1 404 Not Found\r\n" + TEXT + b"Content-Length: 2\r\n\r\nno",),
    "usage nobody asked for": (b"HTTP/1.1 200 OK\r\nX-Usage-Units: 9\r\nContent-Length: 2\r\n\r\nok",),
    "odd bytes": (b"HTTP/1.1 200 OK\r\nX-A: \x80\xff\tb\r\nX-E:\r\nContent-Length: 2\r\n\r\n\0\n",),
}
ALL = LEAVES | STAYS
SAME = re.compile(rb"x-request-id: [0-9a-f]{32}|\r\ndate: .{20,30} GMT|ratelimit: .*?\r|x-ratelimit-(remaining|reset): \d+")


async def heard(client: Client, text: bytes, end: bytes = b"") -> bytes:
    """Bytes of one answer and its end, but for what is another each time."""
    await client.say(text)
    answer = await client.connection.until(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in answer:
        answer += await client.connection.until(b"0\r\n\r\n")
    elif not re.match(rb"HTTP/1.1 (204|304)", answer):
        found = re.search(rb"content-length: (\d+)", answer)
        assert found
        answer += await client.connection.exactly(int(found[1]))
    return SAME.sub(b"", answer)


@pytest.mark.parametrize("path", ["/open/x", "/api/x", "/metered/x"])
async def test_an_answer_is_the_same_on_the_short_cut(stand: Stand, path: str) -> None:
    tenant, used = await stand.tenant("acme", "paid"), 5
    proof = [] if path == "/open/x" else [f"X-Api-Key: {await stand.key(tenant)}", "Origin: https://acme.example"]
    async with stand.client() as client:
        await stand.warm(client, head(path, *proof))
        for why, pieces in ALL.items():
            stand.upstream.play = saying(*pieces)
            walked = [await heard(client, head(path, *proof, f"X-Other: {why} {number}")) for number in range(2)]
            Counted.begun = Counted.left = 0
            taken = [await heard(client, head(path, *proof)) for _ in range(3)]
            leaves = why in LEAVES or (why == "a vary" and path == "/api/x")
            assert (Counted.begun, Counted.left) == (3, 3 if leaves else 0), why
            assert [*walked, *taken] == [walked[0]] * 5, why
            used += 0 if pieces[0].startswith(b"HTTP/1.1 50") else 5
            if path == "/metered/x":
                assert await stand.used(tenant, "messages") == used, why
            assert stand.held() == 0, why


async def test_the_head_of_an_answer_does_not_wait_for_its_body(stand: Stand) -> None:
    async with stand.client() as client:
        await stand.warm(client, head("/open/x"))
        told = asyncio.Event()

        async def play(connection: Connection) -> None:
            await connection.say(OK[:-2])
            await told.wait()
            await connection.say(OK[-2:])

        stand.upstream.play = play
        await client.say(head("/open/x"))
        assert (await client.connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        told.set()
        assert await client.connection.exactly(2) == b"ok"


BROKEN: dict[str, tuple[Play, int]] = {}


def _broken(why: str, status: int, *pieces: bytes) -> None:
    """`status` that the client is told; 0: its connection ends."""
    said = saying(*pieces)

    async def play(connection: Connection) -> None:
        await said(connection)
        connection.close()

    BROKEN[why] = play, status


_broken("closes in the body", 0, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
_broken("closes after the head", 0, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
_broken("closes in the head", 502, b"HTTP/1.1 200 OK\r\nContent-Le")
_broken("says more than it said", 502, OK + b"more")
_broken("is no HTTP", 502, b"SSH-2.0\r\n\r\n")


@pytest.mark.parametrize("why", BROKEN)
async def test_a_broken_answer_is_told_alike_and_given_back(stand: Stand, why: str) -> None:
    tenant = await stand.tenant("acme")
    text = head("/metered/x", f"X-Api-Key: {await stand.key(tenant)}", "Content-Length: 0", method="POST")
    async with stand.client() as client:
        await stand.warm(client, text)
    used = await stand.used(tenant, "messages")
    stand.upstream.play, status = BROKEN[why]
    told = []
    for other in ("", "X-Other: 1\r\n"):
        async with stand.client() as client:
            before = Counted.begun
            await client.say(text[:-2] + other.encode() + b"\r\n")
            if status:
                told.append((await client.answer()).status)
            else:
                told.append(SAME.sub(b"", await client.rest()))
            assert Counted.begun == before + (not other)
        await asyncio.sleep(0.02)
    assert told[0] == told[1]
    assert not status or told[0] == status
    assert await stand.used(tenant, "messages") == used
    assert stand.held() == 0


async def test_an_upstream_that_closed_its_idle_connection_is_asked_again_where_that_is_safe(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    key = f"X-Api-Key: {await stand.key(tenant)}"
    safe, unsafe = head("/metered/x", key), head("/metered/x", key, "Content-Length: 0", method="POST")
    hang_up = [True]

    async def play(connection: Connection) -> None:
        if hang_up:
            hang_up.pop()
            connection.close()
        else:
            await connection.say(OK)

    async with stand.client() as client:
        for text in (safe, unsafe):
            await stand.warm(client, text)
        stand.upstream.play = play
        hang_up[:] = [True]
        assert (await client.ask(safe)).status == 200
        assert (await client.ask(safe)).status == 200
        hang_up[:] = [True]
        assert (await client.ask(unsafe)).status == 502
    assert await stand.used(tenant, "messages") == 12
    assert stand.held() == 0
