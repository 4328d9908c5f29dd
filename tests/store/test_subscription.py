from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store.connect import Store


@pytest.fixture
async def heard(store: Store) -> AsyncIterator[asyncio.Queue[bytes]]:
    """What a subscriber to changes hears."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    listening = asyncio.create_task(store.changes.listen(queue.put_nowait))
    await subscribed(store)
    yield queue
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def subscribed(store: Store) -> None:
    channel = store.keys.changes
    while await store.control.command("PUBSUB", "NUMSUB", channel) != [channel.encode(), 1]:
        await asyncio.sleep(0)


async def test_messages_come_in_their_order(store: Store, heard: asyncio.Queue[bytes]) -> None:
    for message in ("one", "two"):
        await store.control.command("PUBLISH", store.keys.changes, message)
    assert [await heard.get(), await heard.get()] == [b"one", b"two"]


async def test_a_connection_that_is_lost_is_made_again(store: Store, heard: asyncio.Queue[bytes]) -> None:
    assert await store.control.command("CLIENT", "KILL", "TYPE", "pubsub") != 0
    async with asyncio.timeout(30):
        while heard.empty():
            await store.control.command("PUBLISH", store.keys.changes, "after")
    assert await heard.get() == b"after"
