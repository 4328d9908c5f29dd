"""The days' shares of what was counted in a month: they are the month's, whatever happens around midnight."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from gateway.ledger.entry import Subject
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.replay import Replay
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Quota
from gateway.store.connect import Store
from tests.ledger.samples import ACME_ID, StoreTime, granted, served

PERIOD = "2040-05"


def may(day: int) -> date:
    return date(2040, 5, day)


async def test_a_unit_belongs_to_the_day_on_which_it_was_counted(ledger: Ledger, usage: Usage, store_time: StoreTime) -> None:
    store_time.set("2040-05-14T23:59:59+00:00")
    await served(ledger, Quota("emails", 10, 10, units=3))
    begun = await granted(ledger, Quota("emails", 10, 10, units=2))
    store_time.set("2040-05-15T00:00:00+00:00")
    await ledger.settle(begun.charge, Outcome.DELIVERED)
    await served(ledger, Quota("sms", None, None))
    assert await usage.by_day(ACME_ID, PERIOD) == {may(14): {"emails": 3}, may(15): {"emails": 2, "sms": 1}}
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 5, "sms": 1}


async def test_what_is_counted_after_its_month_is_the_last_days(ledger: Ledger, usage: Usage, store_time: StoreTime) -> None:
    store_time.set("2040-05-31T23:59:59+00:00")
    begun = await granted(ledger, Quota("emails", None, None))
    store_time.set("2040-06-01T00:00:00+00:00")
    await ledger.settle(begun.charge, Outcome.DELIVERED)
    assert await usage.by_day(ACME_ID, PERIOD) == {may(31): {"emails": 1}}
    assert await usage.by_day(ACME_ID, "2040-06") == {}


async def test_what_is_given_back_after_midnight_is_taken_from_the_day_before(
    ledger: Ledger, usage: Usage, store_time: StoreTime
) -> None:
    store_time.set("2040-05-14T23:59:59+00:00")
    failed = await granted(ledger, Quota("emails", 10, 10, units=3))
    receipt = ledger.count(failed.charge, None)
    assert receipt is not None
    await receipt.wait()
    await served(ledger, Quota("emails", 10, 10, units=1))
    store_time.set("2040-05-15T00:00:00+00:00")
    await served(ledger, Quota("emails", 10, 10, units=2))
    await ledger.settle(failed.charge, Outcome.REFUND)
    found = await usage.by_day(ACME_ID, PERIOD)
    assert sum(units["emails"] for units in found.values()) == 3
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 3}


async def test_what_a_journal_held_is_counted_by_day_too(store: Store, usage: Usage, tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, "here", 1 << 20)
    replay = Replay(store, tmp_path, "here", journal)
    subject = Subject(ACME_ID, "main", "key_1", "emails", PERIOD)
    journal.append(subject, 5)
    await replay.count_own()
    journal.append(subject, -2)
    await replay.count_own()
    # More than there is: never below nothing.
    journal.append(subject, -9)
    journal.append(Subject(ACME_ID, "main", None, "sms", PERIOD), 1)
    await replay.count_own()
    await replay.close()
    # The store's own time is long before the month that the test speaks of.
    assert await usage.by_day(ACME_ID, PERIOD) == {may(1): {"sms": 1}}
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 0, "sms": 1}


async def test_only_a_tenant_is_counted_by_day(ledger: Ledger, usage: Usage) -> None:
    await served(ledger, Quota("emails", 10, 10))
    assert await usage.of_org("main", PERIOD) == {"emails": 1}
    assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 1}}


async def test_several_tenants_are_read_at_once_in_their_order(ledger: Ledger, usage: Usage) -> None:
    other = ACME_ID.__class__(int=7)
    await served(ledger, Quota("emails", 10, 10))
    assert await usage.of_tenants([other, ACME_ID], PERIOD) == [{}, {"emails": 1}]
    assert await usage.of_tenants_by_day([other, ACME_ID], PERIOD) == [{}, {may(15): {"emails": 1}}]
