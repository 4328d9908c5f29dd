"""How far use was told: each unit once, whatever is counted, refused or lost in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gateway.billing.billed import Accepted, Billed
from gateway.billing.use import Use
from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.tenancy.tenant import Profile
from tests.samples import ACME, GLOBEX

PERIOD = "2090-04"
DAY = date(2090, 4, 1)
NUMBER = int(datetime(2090, 4, 1, tzinfo=UTC).timestamp()) // 86400
CUSTOMER = replace(ACME, profile=Profile(stripe_customer_id="cus_1"))


class Clock:
    at = datetime(2090, 5, 20, tzinfo=UTC)

    def now(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def billed(store: Store, clock: Clock) -> Billed:
    return Billed(store, Usage(store), clock.now)


async def count(store: Store, units: int, metric: str = "emails", day: int = 0, tenant: object = ACME.id) -> None:
    key = store.keys.usage(str(tenant), PERIOD)
    await store.data.command("HINCRBY", key, metric, units)
    await store.data.command("HINCRBY", key, f"{metric} {NUMBER + day}", units)


async def claimed(billed: Billed, sink: str = "stripe") -> list[Use]:
    return await billed.claim(sink, [CUSTOMER], PERIOD)


def arrived(*uses: Use) -> list[Accepted]:
    return [Accepted(use.tenant, use.metric, use.day, use.end) for use in uses]


async def test_what_was_used_is_told_by_tenant_metric_and_day(billed: Billed, store: Store) -> None:
    await count(store, 3)
    await count(store, 4, "sms")
    await count(store, 5, day=29)
    await count(store, 6, tenant=GLOBEX.id)
    uses = await billed.claim("stripe", [GLOBEX, CUSTOMER], PERIOD)
    assert [(use.tenant, use.customer, use.metric, use.day.day, use.units) for use in uses] == [
        (GLOBEX.id, None, "emails", 1, 6),
        (ACME.id, "cus_1", "emails", 1, 3),
        (ACME.id, "cus_1", "sms", 1, 4),
        (ACME.id, "cus_1", "emails", 30, 5),
    ]


async def test_what_was_accepted_is_not_told_again_but_what_came_later_is(billed: Billed, store: Store) -> None:
    await count(store, 3)
    (first,) = await claimed(billed)
    assert await billed.accept("stripe", arrived(first)) == 1
    assert await claimed(billed) == []
    await count(store, 2)
    (second,) = await claimed(billed)
    assert (second.start, second.end, second.units) == (3, 5, 2)
    assert second.id != first.id


async def test_until_it_is_accepted_the_same_is_told_whatever_is_counted(billed: Billed, store: Store) -> None:
    await count(store, 3)
    (first,) = await claimed(billed)
    await count(store, 2)
    assert await claimed(billed) == [first]
    await count(store, -4)
    assert await claimed(billed) == [first]
    await billed.accept("stripe", arrived(first))
    assert await claimed(billed) == []


async def test_it_is_accepted_once_and_only_what_was_told(billed: Billed, store: Store) -> None:
    await count(store, 3)
    (use,) = await claimed(billed)
    wrong = Accepted(use.tenant, use.metric, use.day, 2)
    assert await billed.accept("stripe", [wrong, replace(wrong, day=date(2090, 3, 1), end=3)]) == 0
    assert [await billed.accept("stripe", arrived(use)) for _ in range(2)] == [1, 1]
    assert await claimed(billed) == []


async def test_each_receiver_is_told_everything(billed: Billed, store: Store) -> None:
    await count(store, 3)
    (use,) = await claimed(billed)
    await billed.accept("stripe", arrived(use))
    assert await claimed(billed, "other") == [use]


async def test_a_day_is_told_when_it_is_over_and_settled(billed: Billed, store: Store, clock: Clock) -> None:
    await count(store, 3)
    clock.at = datetime(2090, 4, 2, 0, 59, 59, tzinfo=UTC)
    assert await claimed(billed) == []
    clock.at = datetime(2090, 4, 2, 1, tzinfo=UTC)
    assert [use.day for use in await claimed(billed)] == [DAY]


async def test_what_was_told_is_known_as_long_as_the_counters(billed: Billed, store: Store) -> None:
    await count(store, 3)
    await claimed(billed)
    expires = await store.control.command("EXPIRETIME", store.keys.billed(tenant_tag(ACME.id), PERIOD))
    assert expires == int(datetime(2092, 6, 1, tzinfo=UTC).timestamp())
