"""Units that the upstream tells when it has answered: a reserve is held, and the difference settled."""

from __future__ import annotations

import pytest

from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Quota
from gateway.store.connect import Store
from tests.ledger.samples import ACME_ID, denied, granted

PERIOD = "2040-05"
TOKENS = Quota("tokens", 100, 100, units=50, told=True)


@pytest.mark.parametrize(
    ("outcome", "told", "counted"),
    [
        (Outcome.DELIVERED, 20, 20),
        (Outcome.DELIVERED, 0, 0),
        (Outcome.DELIVERED, 50, 50),
        (Outcome.DELIVERED, 120, 120),
        (Outcome.DELIVERED, None, 50),
        (Outcome.CLIENT_GONE, 70, 70),
        (Outcome.CLIENT_GONE, None, 50),
    ],
)
async def test_what_was_told_is_counted_everywhere_and_once(
    ledger: Ledger, usage: Usage, outcome: Outcome, told: int | None, counted: int
) -> None:
    charge = (await granted(ledger, TOKENS)).charge
    for _ in range(2):
        await ledger.settle(charge, outcome, told)
    assert await usage.of_tenant(ACME_ID, PERIOD) == await usage.of_org("main", PERIOD) == {"tokens": counted}
    assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"tokens": counted}}


async def test_of_what_the_upstream_failed_nothing_is_counted(ledger: Ledger, usage: Usage) -> None:
    await ledger.settle((await granted(ledger, TOKENS)).charge, Outcome.REFUND, 70)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {}


async def test_the_reserve_is_bounded_by_the_cap_and_an_overrun_bounds_the_next(ledger: Ledger) -> None:
    first = await granted(ledger, TOKENS)
    await granted(ledger, TOKENS)
    await denied(ledger, TOKENS)
    await ledger.settle(first.charge, Outcome.DELIVERED, 60)
    await denied(ledger, Quota("tokens", 110, None))


async def test_units_that_are_fixed_stay_what_they_are(ledger: Ledger, usage: Usage) -> None:
    charge = (await granted(ledger, TOKENS, Quota("emails", None, None))).charge
    await ledger.settle(charge, Outcome.DELIVERED, 80)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"tokens": 80, "emails": 1}


async def test_an_overrun_is_counted_where_its_counter_was_lost_and_expires_there_too(
    ledger: Ledger, store: Store, usage: Usage, key_prefix: str
) -> None:
    charge = (await granted(ledger, TOKENS)).charge
    names = await store.control.command("KEYS", f"{key_prefix}:*")
    assert isinstance(names, list)
    await store.control.command("DEL", *(name for name in names if isinstance(name, bytes)))
    await ledger.settle(charge, Outcome.DELIVERED, 80)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"tokens": 80}
    for name in names:
        assert isinstance(name, bytes)
        if not name.endswith(PERIOD.encode()):
            continue
        assert await store.control.command("EXPIRETIME", name) == 2287785600
