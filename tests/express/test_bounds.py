"""Caps, rates and places are exact, and told right, whichever way a request takes."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.stage import Connection

from .stand import OK, Counted, Stand, eventually, head, saying


@pytest.mark.parametrize(("plan", "path", "most"), [("brisk", "/api/x", 20), ("hundred", "/metered/x", 100)])
async def test_a_bound_is_never_passed(stand: Stand, plan: str, path: str, most: int) -> None:
    tenant = await stand.tenant("acme", plan)
    text = head(path, f"X-Api-Key: {await stand.key(tenant)}")
    statuses: list[int] = []

    async def ask() -> None:
        async with stand.client() as client:
            for _ in range(most // 3):
                statuses.append((await client.ask(text)).status)

    await asyncio.gather(*[ask() for _ in range(6)])
    assert statuses.count(200) == most
    assert len(stand.upstream.asked) == most
    assert Counted.begun > 0
    if plan == "hundred":
        assert await stand.used(tenant, "messages") == most


async def test_addresses_have_a_bound_of_their_own(stand: Stand) -> None:
    async def ask(source: str) -> list[int]:
        async with stand.client(source) as client:
            return [(await client.ask(head("/client/x"))).status for _ in range(25)]

    for source in ("127.0.0.1", "127.0.0.2"):
        assert (await ask(source)).count(200) == 20
    assert Counted.begun > 0


async def test_no_more_run_at_once_than_there_are_places(stand: Stand) -> None:
    text = head("/slots/x", f"X-Api-Key: {await stand.key(await stand.tenant('acme'))}")
    go = asyncio.Event()

    async def play(connection: Connection) -> None:
        await go.wait()
        await connection.say(OK)

    async def ask() -> int:
        async with stand.client() as client:
            return (await client.ask(text)).status

    async with stand.client() as client:
        for _ in range(3):
            for _ in range(12):
                assert (await client.ask(text)).status == 200
            stand.upstream.play = play
            asking = [asyncio.create_task(ask()) for _ in range(20)]
            await eventually(lambda: sum(one.done() for one in asking) == 12)  # noqa: B023
            go.set()
            statuses = await asyncio.gather(*asking)
            assert (statuses.count(200), statuses.count(429)) == (8, 12)
            go.clear()
            stand.upstream.play = saying(OK)
    assert stand.held() == 0
    assert Counted.begun > 8


async def test_what_is_told_of_limits_is_what_the_walk_would_tell(stand: Stand) -> None:
    tenant = await stand.tenant("acme", "hundred")
    text = head("/metered/x", f"X-Api-Key: {await stand.key(tenant)}")
    other = text[:-2] + b"X-Other: %d\r\n\r\n"
    async with stand.client() as client:
        left = []
        for number in range(20):
            answer = await client.ask(other % number if number % 4 == 3 else text)
            assert answer.fields["ratelimit-policy"] == '"messages";q=100'
            name, _, rest = answer.fields["ratelimit"].partition(";r=")
            assert (name, answer.fields["x-ratelimit-remaining"]) == ('"messages"', rest.partition(";")[0])
            left.append(int(answer.fields["x-ratelimit-remaining"]))
    assert left == list(range(99, 79, -1))
    assert Counted.begun > 5
