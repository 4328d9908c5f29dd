from __future__ import annotations

import asyncio

import pytest

from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Nonce, Quota, Rate, Slot
from gateway.pipeline.question import Admit, Denied, Granted
from gateway.store.connect import Store
from gateway.tenancy.plan import RateLimit
from tests import samples
from tests.ledger.samples import ACME_ID, CALL, Forgotten, StoreTime, ask, denied, granted, ledger_over, served

PERIOD = "2040-05"


@pytest.mark.parametrize(
    "demand",
    [
        Quota("emails", 100, None),
        Quota("emails", None, 100),
        Rate("tenant", "tenant", "acme", RateLimit(100, 86400, 100)),
        Slot("concurrency", "tenant", "acme", 100),
    ],
)
async def test_five_hundred_at_once_on_two_workers_get_exactly_what_there_is(
    store_url: str, key_prefix: str, demand: Quota | Rate | Slot
) -> None:
    stores = [Store(store_url, prefix=key_prefix, deadline=10.0) for _ in range(2)]
    ledgers = [ledger_over(store, Forgotten()) for store in stores]
    answers = await asyncio.gather(*(ask(ledgers[number % 2], demand) for number in range(500)))
    assert sum(isinstance(answer, Granted) for answer in answers) == 100
    assert sum(isinstance(answer, Denied) for answer in answers) == 400
    for ledger, store in zip(ledgers, stores, strict=True):
        await ledger.close()
        await store.close()


async def test_three_counters_move_together(ledger: Ledger, usage: Usage) -> None:
    await served(ledger, Quota("emails", 10, 10, units=3))
    await served(ledger, Quota("sms", None, None))
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 3, "sms": 1}
    assert await usage.of_org("main", PERIOD) == {"emails": 3, "sms": 1}
    assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 3, "sms": 1}}


async def test_a_platforms_key_is_counted_over_all_tenants_too(ledger: Ledger, usage: Usage) -> None:
    acme, globex = samples.call(samples.ROOT_KEY), samples.call(samples.ROOT_KEY, samples.GLOBEX)
    failed = await granted(ledger, Quota("emails", 10, 10, units=4), call=acme)
    receipt = ledger.count(failed.charge, None)
    assert receipt is not None
    await receipt.wait()
    assert await usage.by_platform_key("main", PERIOD) == {"key_2": {"emails": 4}}
    await ledger.settle(failed.charge, Outcome.REFUND)
    await served(ledger, Quota("emails", 10, 10, units=3), call=acme)
    await served(ledger, Quota("emails", 10, 10, units=2), call=globex)
    await served(ledger, Quota("emails", 10, 10))
    assert await usage.by_platform_key("main", PERIOD) == {"key_2": {"emails": 5}}
    assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 1}, "key_2": {"emails": 3}}


async def test_a_credential_without_an_id_is_counted_for_its_tenant_and_organization(ledger: Ledger, usage: Usage) -> None:
    await served(ledger, Quota("emails", 10, 10), call=samples.call(samples.JWT))
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1}
    assert await usage.by_credential(ACME_ID, PERIOD) == {}


@pytest.mark.parametrize("refusing", [Quota("sms", 0, None), Nonce("n", 60), Slot("c", "tenant", "t", 0)])
async def test_a_refused_request_has_taken_nothing(
    ledger: Ledger, store: Store, usage: Usage, refusing: Quota | Nonce | Slot
) -> None:
    await granted(ledger, Nonce("n", 60))
    rate = Rate("tenant", "tenant", "acme", RateLimit(1, 3600, 1))
    slot = Slot("concurrency", "tenant", "acme", 1)
    answer = await denied(ledger, rate, Quota("emails", 1, None), slot, Nonce("other", 60), refusing)
    assert [standing.admitted for standing in answer.standings] == [True, True, True, True, False]
    assert [standing.remaining for standing in answer.standings[:3]] == [1, 1, 1]
    assert await usage.of_tenant(ACME_ID, PERIOD) == {}
    await granted(ledger, rate, Quota("emails", 1, None), slot, Nonce("other", 60))


async def test_the_organizations_cap_refuses_for_itself(ledger: Ledger) -> None:
    await granted(ledger, Quota("emails", 100, 1))
    globex = samples.call(samples.JWT, samples.GLOBEX)
    standing = (await denied(ledger, Quota("emails", 100, 1), call=globex)).standings[0]
    assert (standing.by_org, standing.remaining) == (True, 0)
    standing = (await denied(ledger, Quota("emails", 1, 1))).standings[0]
    assert not standing.by_org


async def test_the_last_units_are_not_split(ledger: Ledger) -> None:
    await granted(ledger, Quota("emails", 10, None, units=8))
    assert (await denied(ledger, Quota("emails", 10, None, units=3))).standings[0].remaining == 2
    assert (await granted(ledger, Quota("emails", 10, None, units=2))).standings[0].remaining == 0


async def test_a_changed_cap_keeps_what_was_used(ledger: Ledger) -> None:
    await served(ledger, Quota("emails", None, None, units=8))
    assert (await denied(ledger, Quota("emails", 8, None))).standings[0].remaining == 0
    assert (await granted(ledger, Quota("emails", 10, None))).standings[0].remaining == 1


async def test_two_quotas_of_one_metric_see_each_other(ledger: Ledger, usage: Usage) -> None:
    await denied(ledger, Quota("emails", 3, None, units=2), Quota("emails", 3, None, units=2))
    await served(ledger, Quota("emails", 4, None, units=2), Quota("emails", 4, None, units=2))
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 4}


async def test_at_the_months_edge_a_request_counts_once_and_in_the_stores_month(
    ledger: Ledger, usage: Usage, store_time: StoreTime
) -> None:
    store_time.set("2040-05-31T23:59:59.999999+00:00")
    last = await served(ledger, Quota("emails", 1, None))
    assert last.standings[0].reset == pytest.approx(1e-6)
    assert (await denied(ledger, Quota("emails", 1, None))).standings[0].wait == pytest.approx(1e-6)
    store_time.set("2040-06-01T00:00:00+00:00")
    first = await served(ledger, Quota("emails", 1, None))
    assert first.standings[0].reset == 30 * 86400
    assert await usage.of_tenant(ACME_ID, "2040-05") == await usage.of_tenant(ACME_ID, "2040-06") == {"emails": 1}


async def test_what_was_taken_in_a_month_is_counted_and_given_back_there(
    ledger: Ledger, usage: Usage, store_time: StoreTime
) -> None:
    store_time.set("2040-05-31T23:59:59+00:00")
    kept, refunded = [await granted(ledger, Quota("emails", 2, None)) for _ in range(2)]
    store_time.set("2040-06-01T00:00:00+00:00")
    await granted(ledger, Quota("emails", 2, None))
    ledger.count(refunded.charge, None)
    await ledger.settle(kept.charge, Outcome.DELIVERED)
    await ledger.settle(refunded.charge, Outcome.REFUND)
    assert await usage.of_tenant(ACME_ID, "2040-05") == {"emails": 1}
    assert await usage.of_tenant(ACME_ID, "2040-06") == {}


async def test_what_nothing_bounds_is_counted_in_its_month_too(ledger: Ledger, usage: Usage, store_time: StoreTime) -> None:
    for month, day in (("2040-05", "2040-05-31"), ("2040-06", "2040-06-01"), ("2040-07", "2040-07-01")):
        store_time.set(f"{day}T00:00:00+00:00")
        question = Admit(CALL, (), (Quota("emails", None, None),))
        answer = ledger.take(question) or await ledger.admit(question)
        assert isinstance(answer, Granted)
        await ledger.settle(answer.charge, Outcome.DELIVERED)
        assert await usage.of_tenant(ACME_ID, month) == {"emails": 1}


async def test_every_key_of_the_ledger_expires(ledger: Ledger, store: Store, key_prefix: str) -> None:
    rate = Rate("tenant", "tenant", "acme", RateLimit(1, 3600, 1))
    first = await granted(ledger, rate, Quota("emails", None, None), Nonce("n", 600), Slot("c", "tenant", "t", 9))
    await granted(ledger, Quota("emails", None, None), Quota("sms", None, None))
    await ledger.settle(first.charge, Outcome.REFUND)
    await served(ledger, Quota("emails", None, None), Quota("sms", 9, 9), Slot("c", "tenant", "t", 9))
    await granted(ledger, Quota("emails", 9, 9), Slot("c", "tenant", "t", 9))
    names = await store.control.command("KEYS", f"{key_prefix}:*")
    assert isinstance(names, list)
    assert len(names) > 9
    for name in names:
        assert isinstance(name, bytes)
        ttl = await store.control.command("TTL", name)
        assert isinstance(ttl, int)
        assert ttl >= 0, name
        if name.endswith(b"2040-05"):
            # May of 2040 and 25 months after it: until the first of July 2042.
            assert await store.control.command("EXPIRETIME", name) == 2287785600


class TestSettlement:
    async def test_a_refund_gives_the_units_back_everywhere_and_once(self, ledger: Ledger, usage: Usage) -> None:
        first = await granted(ledger, Quota("emails", 5, 5, units=3))
        await served(ledger, Quota("emails", 5, 5, units=2))
        await denied(ledger, Quota("emails", 5, 5))
        for _ in range(2):
            await ledger.settle(first.charge, Outcome.REFUND)
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 2}
        assert await usage.of_org("main", PERIOD) == {"emails": 2}
        assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 2}}
        await granted(ledger, Quota("emails", 5, 5, units=3))

    async def test_what_was_counted_before_the_upstream_failed_is_given_back(self, ledger: Ledger, usage: Usage) -> None:
        first = await granted(ledger, Quota("emails", 5, 5, units=3))
        await served(ledger, Quota("emails", 5, 5, units=2))
        receipt = ledger.count(first.charge, None)
        assert receipt is not None
        await receipt.wait()
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 5}
        await ledger.settle(first.charge, Outcome.REFUND)
        assert await usage.of_tenant(ACME_ID, PERIOD) == await usage.of_org("main", PERIOD) == {"emails": 2}
        assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 2}}

    async def test_a_refund_never_goes_below_zero_and_makes_no_counter(
        self, ledger: Ledger, store: Store, usage: Usage, key_prefix: str
    ) -> None:
        charge = (await granted(ledger, Quota("emails", 5, 5, units=3))).charge
        ledger.count(charge, None)
        await ledger.flush()
        names = await store.control.command("KEYS", f"{key_prefix}:*")
        assert isinstance(names, list)
        await store.control.command("DEL", *(name for name in names if isinstance(name, bytes)))
        await served(ledger, Quota("emails", 5, 5))
        await ledger.settle(charge, Outcome.REFUND)
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 0}

    @pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.CLIENT_GONE])
    async def test_what_was_served_stays_counted(self, ledger: Ledger, usage: Usage, outcome: Outcome) -> None:
        await ledger.settle((await granted(ledger, Quota("emails", 5, 5))).charge, outcome)
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1}

    async def test_a_refund_leaves_the_rate_as_it_is(self, ledger: Ledger) -> None:
        rate = Rate("tenant", "tenant", "acme", RateLimit(1, 3600, 1))
        await ledger.settle((await granted(ledger, rate)).charge, Outcome.REFUND)
        await denied(ledger, rate)

    async def test_closing_waits_for_what_settles_in_the_background(self, ledger: Ledger, usage: Usage) -> None:
        charges = [(await granted(ledger, Quota("emails", None, None))).charge for _ in range(300)]
        for charge in charges:
            ledger.settle_soon(charge, Outcome.DELIVERED)
        await ledger.close()
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 300}

    async def test_a_request_that_took_nothing_settles_without_a_call(self, store_url: str, key_prefix: str) -> None:
        calls: list[str] = []
        watched = Store(store_url, prefix=key_prefix, deadline=5, observe=lambda name, *rest: calls.append(name))
        ledger = ledger_over(watched, Forgotten())
        rate = Rate("tenant", "tenant", "acme", RateLimit(1, 1, 1))
        for charge in (None, (await granted(ledger, rate)).charge):
            await ledger.settle(charge, Outcome.DELIVERED)
        await ledger.close()
        await watched.close()
        assert calls == ["admit"]
