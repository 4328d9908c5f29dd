from __future__ import annotations

import asyncio

from gateway.ledger.ledger import Ledger, Outcome
from gateway.pipeline.demand import Slot
from gateway.store.connect import Store
from gateway.store.lease import BUCKET_LEASE
from tests import samples
from tests.ledger.samples import Forgotten, StoreTime, denied, granted, ledger_over

SLOT = Slot("concurrency", "tenant", "acme", 2)


async def test_a_slot_is_held_until_it_is_settled_whatever_the_outcome(ledger: Ledger) -> None:
    first = await granted(ledger, SLOT)
    assert first.standings[0].remaining == 1
    await granted(ledger, SLOT)
    standing = (await denied(ledger, SLOT)).standings[0]
    assert (standing.remaining, standing.wait) == (0, 1)
    for outcome in Outcome:
        await ledger.settle(first.charge, outcome)
        first = await granted(ledger, SLOT)
        await denied(ledger, SLOT)


async def test_the_slots_of_a_worker_that_died_come_back_with_their_lease(ledger: Ledger, store_time: StoreTime) -> None:
    await granted(ledger, SLOT)
    await granted(ledger, SLOT)
    store_time.advance(BUCKET_LEASE - 0.001)
    await denied(ledger, SLOT)
    store_time.advance(0.001)
    await granted(ledger, SLOT)


async def beat(ledger: Ledger) -> None:
    ledger.sweep()
    await ledger.flush()


async def test_the_heartbeat_keeps_the_slots_of_a_worker_that_lives(ledger: Ledger, store_time: StoreTime) -> None:
    kept = await granted(ledger, SLOT)
    await granted(ledger, SLOT)
    for _ in range(3):
        store_time.advance(BUCKET_LEASE / 2)
        await beat(ledger)
    await denied(ledger, SLOT)
    await ledger.settle(kept.charge, Outcome.DELIVERED)
    await beat(ledger)
    await granted(ledger, SLOT)


async def test_a_worker_that_was_away_too_long_takes_nobodys_slot(ledger: Ledger, store: Store, store_time: StoreTime) -> None:
    late = await granted(ledger, SLOT)
    await granted(ledger, SLOT)
    store_time.advance(BUCKET_LEASE + 1)
    other = ledger_over(store, Forgotten(), store_time)
    for _ in range(2):
        await granted(other, SLOT)
    # Both of its requests run on, as the store hears now; one that ends frees its own place.
    await beat(ledger)
    await ledger.settle(late.charge, Outcome.DELIVERED)
    standing = (await denied(other, SLOT)).standings[0]
    assert standing.remaining == 0
    await other.close()


async def test_a_limit_of_zero_blocks(ledger: Ledger) -> None:
    await denied(ledger, Slot("concurrency", "tenant", "acme", 0))


async def test_slots_of_a_route_are_shared_by_all_tenants(ledger: Ledger) -> None:
    slot = Slot("concurrency", "route", "things", 1)
    await granted(ledger, slot)
    await denied(ledger, slot, call=samples.call(samples.JWT, samples.GLOBEX))


async def test_the_heartbeat_ends_with_the_ledger(store: Store) -> None:
    ledger = ledger_over(store, Forgotten())
    before = asyncio.all_tasks()
    await granted(ledger, SLOT)
    heart = asyncio.all_tasks() - before
    await ledger.close()
    assert len(heart) == 1
    assert all(task.done() for task in heart)
