"""Counters that are carried to another store."""

from __future__ import annotations

from uuid import uuid4

from gateway.clock import SystemClock
from gateway.ledger.carry import Carry
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.tenancy.period import period_of


async def test_what_was_told_to_those_who_bill_is_not_told_again_after_it_was_carried(store: Store) -> None:
    clock, one, other = SystemClock(), tenant_tag(uuid4()), tenant_tag(uuid4())
    period, carry = period_of(clock.now()), Carry(store, clock)
    told = {"stripe emails 2026-04-01": 7, "stripe emails 2026-04-01 pending": 9}
    await store.control.command("HSET", store.keys.billed(one, period), *(part for pair in told.items() for part in pair))
    carried = await carry.read(one, clock.now())
    assert carried.billed == {period: told}
    await carry.restore(other, carried)
    assert (await carry.read(other, clock.now())).billed == {period: told}
