"""Resources: reserved under a cap, counted when they exist, given back when they do not, and kept where nobody knows."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ledger.ledger import Effect, Ledger, Outcome
from gateway.ledger.resources import Held, Resources
from gateway.pipeline.demand import Quota, Release, Reserve
from gateway.pipeline.question import Granted
from gateway.store.connect import Store
from tests import samples
from tests.ledger.samples import ACME_ID, Forgotten, StoreTime, ask, denied, granted, ledger_over

USER, GONE = Reserve("users", 5), Release("users")


@pytest.fixture
def resources(store: Store) -> Resources:
    return Resources(store, ["users", "departments"])


async def users(resources: Resources) -> Held:
    return (await resources.of_tenant(ACME_ID))["users"]


async def make(ledger: Ledger, effect: Effect, demand: Reserve | Release = USER) -> None:
    await ledger.settle((await granted(ledger, demand)).charge, Outcome.DELIVERED, effect=effect)


async def test_fifty_at_once_on_two_workers_make_exactly_as_many_as_there_may_be(
    store_url: str, key_prefix: str, resources: Resources
) -> None:
    stores = [Store(store_url, prefix=key_prefix, deadline=10.0) for _ in range(2)]
    ledgers = [ledger_over(store, Forgotten()) for store in stores]

    async def create(ledger: Ledger) -> bool:
        answer = await ask(ledger, USER)
        if isinstance(answer, Granted):
            await ledger.settle(answer.charge, Outcome.DELIVERED, effect=Effect.DONE)
        return isinstance(answer, Granted)

    assert sum(await asyncio.gather(*(create(ledgers[number % 2]) for number in range(50)))) == 5
    assert await users(resources) == Held(exist=5)
    for ledger, store in zip(ledgers, stores, strict=True):
        await ledger.close()
        await store.close()


@pytest.mark.parametrize(
    ("effect", "held"), [(Effect.DONE, Held(1, 0)), (Effect.NOTHING, Held(0, 0)), (Effect.UNKNOWN, Held(0, 1))]
)
async def test_what_the_upstream_did_decides(ledger: Ledger, resources: Resources, effect: Effect, held: Held) -> None:
    charge = (await granted(ledger, USER)).charge
    assert await users(resources) == Held(0, 1)
    for _ in range(2):
        await ledger.settle(charge, Outcome.DELIVERED, effect=effect)
    assert await users(resources) == held


async def test_what_is_reserved_counts_against_the_cap_as_what_exists_does(ledger: Ledger, resources: Resources) -> None:
    two = Reserve("users", 2)
    await make(ledger, Effect.DONE, two)
    assert (await granted(ledger, two)).standings[0].remaining == 0
    assert (await denied(ledger, two)).standings[0].remaining == 0
    assert await users(resources) == Held(1, 1)


async def test_a_reservation_does_not_end_with_time(ledger: Ledger, resources: Resources, store_time: StoreTime) -> None:
    await make(ledger, Effect.UNKNOWN)
    store_time.advance(10 * 365 * 86400)
    await granted(ledger, USER)
    assert await users(resources) == Held(0, 2)


@pytest.mark.parametrize(("cap", "fit"), [(None, 3), (0, 0), (2, 2)])
async def test_none_is_unlimited_and_counted_and_zero_blocks(
    ledger: Ledger, resources: Resources, cap: int | None, fit: int
) -> None:
    answers = [await ask(ledger, Reserve("users", cap)) for _ in range(3)]
    assert sum(isinstance(answer, Granted) for answer in answers) == fit
    assert (await users(resources)).used == fit


async def test_a_deletion_makes_room_once_it_is_done_and_never_below_nothing(ledger: Ledger, resources: Resources) -> None:
    await make(ledger, Effect.DONE)
    for effect, left in ((Effect.NOTHING, 1), (Effect.UNKNOWN, 1), (Effect.DONE, 0), (Effect.DONE, 0)):
        await make(ledger, effect, GONE)
        assert await users(resources) == Held(left, 0)


async def test_two_of_one_request_see_each_other_and_a_refused_request_reserves_nothing(
    ledger: Ledger, resources: Resources
) -> None:
    one = Reserve("users", 1)
    await denied(ledger, one, one)
    await denied(ledger, one, Quota("emails", 0, None))
    await granted(ledger, one)


async def test_in_shadow_what_passes_is_counted(ledger: Ledger, resources: Resources) -> None:
    shadow = Reserve("users", 1, shadow=True)
    answers = [await granted(ledger, shadow) for _ in range(3)]
    assert [answer.standings[0].admitted for answer in answers] == [True, False, False]
    assert (await users(resources)).used == 3


async def test_tenants_and_resources_are_counted_apart(ledger: Ledger, resources: Resources) -> None:
    one = Reserve("users", 1)
    await granted(ledger, one)
    await granted(ledger, Reserve("departments", 1))
    await granted(ledger, one, call=samples.call(samples.JWT, samples.GLOBEX))
    assert await resources.of_tenant(ACME_ID) == {"users": Held(0, 1), "departments": Held(0, 1)}


async def test_whoever_has_counted_settles_what_nobody_knew(ledger: Ledger, resources: Resources) -> None:
    late = (await granted(ledger, USER)).charge
    await make(ledger, Effect.UNKNOWN)
    await resources.reconcile(ACME_ID, "users", 4)
    assert await users(resources) == Held(4, 0)
    await ledger.settle(late, Outcome.DELIVERED, effect=Effect.DONE)
    assert await users(resources) == Held(4, 0)
    await granted(ledger, USER)
    await denied(ledger, USER)


async def test_counts_of_what_exists_never_expire(ledger: Ledger, store: Store, key_prefix: str) -> None:
    await make(ledger, Effect.DONE)
    await make(ledger, Effect.UNKNOWN)
    names = await store.control.command("KEYS", f"{key_prefix}:*")
    assert isinstance(names, list)
    kept = [name for name in names if isinstance(name, bytes) and (b"resources" in name or b"reservations" in name)]
    assert len(kept) == 2
    for name in kept:
        assert await store.control.command("TTL", name) == -1


async def test_what_was_reserved_for_a_caller_that_went_away_while_it_asked_comes_back(
    ledger: Ledger, resources: Resources
) -> None:
    await make(ledger, Effect.NOTHING)
    asking = asyncio.create_task(ask(ledger, USER))
    # Two turns: the call is sent, its answer is not there yet.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await ledger.close()
    assert await users(resources) == Held(0, 0)
