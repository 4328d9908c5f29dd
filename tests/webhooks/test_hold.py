"""What one gateway at a time does: it holds on to it, loses it in time, and gives it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store.connect import Store
from gateway.webhooks.hold import Hold
from tests.registry.samples import ManualClock


@pytest.fixture
async def others_store(store_url: str, key_prefix: str) -> AsyncIterator[Store]:
    """As another process has it."""
    store = Store(store_url, prefix=key_prefix, deadline=5.0)
    yield store
    await store.close()


async def test_one_has_it_and_the_other_gets_it_when_it_is_given_back(store: Store, others_store: Store) -> None:
    clock = ManualClock()
    one, other = Hold(store, clock, "deed"), Hold(others_store, clock, "deed")
    for hold in (one, other, one):
        await hold.renew()
    assert (one.left > 9, other.left <= 0) == (True, True)
    await one.give_back()
    await other.renew()
    assert (one.left <= 0, other.left > 9) == (True, True)
    await one.give_back()
    await one.renew()
    assert (one.left <= 0, other.left > 9) == (True, True)


async def test_it_ends_for_its_holder_before_it_does_in_the_store(store: Store, others_store: Store) -> None:
    clock = ManualClock()
    one, other = Hold(store, clock, "deed", 0.05), Hold(others_store, clock, "deed", 0.05)
    await one.renew()
    assert 0 < one.left < 0.05
    clock.time += 0.05
    assert one.left < 0
    async with asyncio.timeout(5):
        while other.left <= 0:
            await other.renew()
