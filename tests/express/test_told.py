"""What the log and the metrics tell of a request does not depend on whether it took the short cut."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from tests.e2e.stage import Connection

from .stand import OK, Client, Counted, Stand, eventually, head, saying

End = Callable[[Stand, Client, bytes], Awaitable[None]]
_OF_THE_TIME = {"time", "request_id", "duration_ms", "upstream_ms"}


def answered(*pieces: bytes, closes: bool = False) -> End:
    async def end(stand: Stand, client: Client, text: bytes) -> None:
        said = saying(*pieces)

        async def play(connection: Connection) -> None:
            await said(connection)
            if closes:
                connection.close()

        stand.upstream.play = play
        await client.say(text)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await client.answer()

    return end


async def _goes(stand: Stand, client: Client, text: bytes) -> None:
    asked = len(stand.upstream.asked)
    stand.upstream.play = lambda _: asyncio.sleep(0.2)
    await client.say(text)
    await eventually(lambda: len(stand.upstream.asked) > asked)
    client.connection.drop()


async def _goes_in_the_body(stand: Stand, client: Client, text: bytes) -> None:
    begun = asyncio.Event()

    async def play(connection: Connection) -> None:
        await connection.say(OK[:-1])
        begun.set()
        await asyncio.sleep(0.2)

    stand.upstream.play = play
    await client.say(text)
    await begun.wait()
    await client.connection.exactly(len(b"HTTP/1.1"))
    client.connection.drop()


async def _expires(stand: Stand, client: Client, text: bytes) -> None:
    asked = len(stand.upstream.asked)
    stand.upstream.play = lambda _: asyncio.sleep(0.2)
    await client.say(text)
    await eventually(lambda: len(stand.upstream.asked) > asked)
    for connection in list(stand.listening._server.server_state.connections):
        connection.expire()  # type: ignore[union-attr]
    assert (await client.answer()).status == 503


ENDS: dict[str, End] = {
    "well": answered(OK),
    "with a refusal": answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    "by 500": answered(b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\noh"),
    "in chunks": answered(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "broken off": answered(OK[:-1], closes=True),
    "broken off after the head": answered(OK[:-2], closes=True),
    "without an answer": answered(b"", closes=True),
    "in no HTTP": answered(b"SSH\r\n\r\n", closes=True),
    "since the client goes": _goes,
    "since the client goes in the body": _goes_in_the_body,
    "since the gateway goes": _expires,
}


async def told(stand: Stand) -> tuple[list[dict[str, object]], dict[str, float]]:
    """Lines of the log, and all counters but of time."""
    lines = [{name: value for name, value in line.items() if name not in _OF_THE_TIME} for line in stand.log()]
    text = stand.gateway.metrics.exposition("text/plain")[0].decode()
    found = re.findall(r"^(tenantgate_(?:requests|upstream)\w*(?:_total|_count)(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return lines, {name: float(value) for name, value in found}


@pytest.mark.parametrize("why", ENDS)
async def test_a_request_is_told_of_alike(stand: Stand, why: str) -> None:
    tenant = await stand.tenant("acme")
    text = head("/metered/x", f"X-Api-Key: {await stand.key(tenant)}", "Content-Length: 0", method="POST")
    accounts = []
    for other in ("", "X-Other: 1\r\n"):
        stand.upstream.play = saying(OK)
        async with stand.client() as client:
            await stand.warm(client, text)
            _, before = await told(stand)
            begun = Counted.begun
            await ENDS[why](stand, client, text[:-2] + other.encode() + b"\r\n")
            assert Counted.begun == begun + (not other)
            await eventually(lambda: stand.held() == 0)
            await asyncio.sleep(0.05)
        lines, after = await told(stand)
        accounts.append(
            (lines, {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name)})
        )
        await asyncio.sleep(0.2)
    assert len(accounts[0][0]) == 1
    assert any("requests_total" in name for name in accounts[0][1])
    assert any("upstream" in name for name in accounts[0][1])
    assert accounts[0] == accounts[1]
