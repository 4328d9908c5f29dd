"""Demands in shadow: they refuse nothing, and their figures are those that enforcement would have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Nonce, Quota, Rate, Slot
from gateway.tenancy.plan import RateLimit
from tests.ledger.samples import ACME_ID, StoreTime, denied, granted

RATE = Rate("tenant", "tenant", "acme", RateLimit(2, 60, 2), shadow=True)
QUOTA = Quota("emails", 2, None, shadow=True)
SLOT = Slot("concurrency", "tenant", "acme", 2, shadow=True)


@pytest.mark.parametrize("demand", [RATE, QUOTA, SLOT])
async def test_what_does_not_fit_passes_and_says_so(ledger: Ledger, demand: Rate | Quota | Slot) -> None:
    answers = [await granted(ledger, demand) for _ in range(4)]
    assert [answer.standings[0].admitted for answer in answers] == [True, True, False, False]


async def test_a_full_rate_is_left_as_it_is(ledger: Ledger, store_time: StoreTime) -> None:
    for _ in range(5):
        await granted(ledger, RATE)
    store_time.advance(30)
    assert (await granted(ledger, RATE)).standings[0].admitted
    assert not (await granted(ledger, RATE)).standings[0].admitted


async def test_full_slots_are_left_as_they_are(ledger: Ledger) -> None:
    answers = [await granted(ledger, SLOT) for _ in range(3)]
    await ledger.settle(answers[2].charge, Outcome.DELIVERED)
    assert not (await granted(ledger, SLOT)).standings[0].admitted
    await ledger.settle(answers[0].charge, Outcome.DELIVERED)
    assert (await granted(ledger, SLOT)).standings[0].admitted


@pytest.mark.parametrize("org_cap", [None, 1])
async def test_units_past_the_cap_are_counted_and_can_be_given_back(ledger: Ledger, usage: Usage, org_cap: int | None) -> None:
    quota = replace(QUOTA, org_cap=org_cap)
    answers = [await granted(ledger, quota) for _ in range(4)]
    for answer in answers:
        ledger.count(answer.charge, None)
    await ledger.flush()
    assert await usage.of_tenant(ACME_ID, "2040-05") == await usage.of_org("main", "2040-05") == {"emails": 4}
    await ledger.settle(answers[3].charge, Outcome.REFUND)
    assert await usage.of_tenant(ACME_ID, "2040-05") == {"emails": 3}


async def test_what_is_enforced_refuses_beside_it_and_then_nothing_is_taken(ledger: Ledger, usage: Usage) -> None:
    answer = await denied(ledger, QUOTA, RATE, Quota("sms", 0, None), SLOT)
    assert [standing.admitted for standing in answer.standings] == [True, True, False, True]
    assert await usage.of_tenant(ACME_ID, "2040-05") == {}


async def test_a_shadow_after_a_refusal_does_not_undo_it(ledger: Ledger) -> None:
    await granted(ledger, Nonce("n" * 16, 60))
    await denied(ledger, Nonce("n" * 16, 60), replace(QUOTA, cap=0))


@pytest.mark.parametrize("shadow", [RATE, SLOT])
async def test_a_bucket_that_is_tried_out_takes_nothing_from_the_enforced_one(ledger: Ledger, shadow: Rate | Slot) -> None:
    for _ in range(3):
        await granted(ledger, shadow)
    enforced = replace(shadow, shadow=False)
    for _ in range(2):
        await granted(ledger, enforced)
    await denied(ledger, enforced)
