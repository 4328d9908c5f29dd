from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import count
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.gcra import Gcra
from gateway.ledger.ledger import Ledger
from gateway.pipeline.demand import Rate
from gateway.pipeline.question import Granted
from gateway.tenancy.plan import RateLimit
from tests import samples
from tests.ledger.samples import StoreTime, ask, denied, granted

_names = count()


def bucket(limit: RateLimit, subject: str = "acme") -> Rate:
    return Rate("tenant", "tenant", subject, limit)


class Model:
    """GCRA in exact fractions of a microsecond."""

    def __init__(self, limit: RateLimit) -> None:
        self.interval = Fraction(limit.window * 1_000_000, limit.count)
        self.burst = max(1, limit.burst)
        self.arrival = Fraction(0)

    def admits(self, now: int) -> bool:
        after = max(self.arrival, Fraction(now)) + self.interval
        if after - now > self.burst * self.interval:
            return False
        self.arrival = after
        return True


# No cell of less than a minute: the store forgets a bucket by its own time, which goes on while the test's stands.
limits = st.builds(RateLimit, st.integers(1, 50), st.sampled_from([3600, 86400]), st.integers(0, 20))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=limits, steps=st.lists(st.integers(0, 1_800_000_000), min_size=1, max_size=60))
async def test_a_rate_admits_what_the_model_admits_and_no_interval_too_much(
    asking: Ledger, store_time: StoreTime, limit: RateLimit, steps: list[int]
) -> None:
    rate, model, admitted = bucket(limit, f"s{next(_names)}"), Model(limit), []
    for step in steps:
        store_time.micros += step
        answer = await ask(asking, rate)
        assert isinstance(answer, Granted) == model.admits(store_time.micros)
        if isinstance(answer, Granted):
            admitted.append(store_time.micros)
    for first, start in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= max(1, limit.burst) + Fraction(end - start) / model.interval


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=limits)
async def test_a_refused_caller_is_told_exactly_how_long_to_wait(
    asking: Ledger, store_time: StoreTime, limit: RateLimit
) -> None:
    rate = bucket(limit, f"s{next(_names)}")
    for remaining in reversed(range(max(1, limit.burst))):
        assert (await granted(asking, rate)).standings[0].remaining == remaining
    standing = (await denied(asking, rate)).standings[0]
    assert standing.remaining == 0
    wait = ceil(standing.wait * 1_000_000)
    store_time.micros += wait - 2
    await denied(asking, rate)
    store_time.micros += 3
    await granted(asking, rate)


async def test_a_full_bucket_is_told_by_its_reset(asking: Ledger, store_time: StoreTime) -> None:
    rate = bucket(RateLimit(6, 60, 6))
    assert (await granted(asking, rate)).standings[0].reset == 10
    assert (await granted(asking, rate)).standings[0].reset == 20
    store_time.advance(20)
    assert (await granted(asking, rate)).standings[0].remaining == 5


async def test_a_count_of_zero_blocks(asking: Ledger) -> None:
    standing = (await denied(asking, bucket(RateLimit(0, 60, 0)))).standings[0]
    assert (standing.remaining, standing.wait) == (0, 60)


async def test_a_changed_limit_keeps_what_was_used(asking: Ledger) -> None:
    for _ in range(7):
        await granted(asking, bucket(RateLimit(7, 60, 7)))
    await denied(asking, bucket(RateLimit(5, 60, 5)))
    assert (await granted(asking, bucket(RateLimit(70, 60, 70)))).standings[0].remaining == 62
    assert (await granted(asking, bucket(RateLimit(10, 3600, 10)))).standings[0].remaining == 1


async def test_a_smaller_burst_keeps_what_was_used(asking: Ledger) -> None:
    for _ in range(8):
        await granted(asking, bucket(RateLimit(10, 600, 10)))
    # Eight are used and two may be: seven have to come back before the next one.
    assert (await denied(asking, bucket(RateLimit(10, 600, 2)))).standings[0].wait == 7 * 60
    assert (await granted(asking, bucket(RateLimit(10, 600, 10)))).standings[0].remaining == 1


async def test_a_clock_that_goes_back_an_hour_blocks_nobody_for_an_hour(asking: Ledger, store_time: StoreTime) -> None:
    rate = bucket(RateLimit(7, 420, 2))
    for _ in range(2):
        await granted(asking, rate)
    store_time.advance(-3600)
    standing = (await denied(asking, rate)).standings[0]
    assert (standing.remaining, standing.wait) == (0, 60)
    store_time.advance(60)
    await granted(asking, rate)
    await denied(asking, rate)


async def test_two_limits_of_one_bucket_in_one_request_see_each_other(asking: Ledger) -> None:
    rate = bucket(RateLimit(1, 60, 1))
    await denied(asking, rate, rate)
    await granted(asking, rate)


async def test_buckets_of_other_tenants_scopes_names_and_subjects_are_others(asking: Ledger) -> None:
    rate = bucket(RateLimit(1, 60, 1))
    await granted(asking, rate)
    await granted(asking, rate, call=samples.call(samples.JWT, samples.GLOBEX))
    await granted(asking, replace(rate, scope="client_ip"))
    await granted(asking, replace(rate, name="a:b", subject="c"))
    await granted(asking, replace(rate, name="a", subject="b:c"))
    await denied(asking, rate)


async def test_a_platform_key_has_one_bucket_whichever_tenant_it_acts_for(asking: Ledger) -> None:
    rate = Rate("credential", "credential", "key_2", RateLimit(1, 60, 1))
    await granted(asking, rate, call=samples.call(samples.ROOT_KEY))
    await denied(asking, rate, call=samples.call(samples.ROOT_KEY, samples.GLOBEX))


async def test_an_anonymous_clients_bucket_is_its_own(asking: Ledger) -> None:
    rate = Rate("ip", "client_ip", "203.0.113.7", RateLimit(1, 60, 1))
    anonymous = samples.call(samples.JWT, None)
    await granted(asking, rate, call=anonymous)
    await denied(asking, rate, call=anonymous)
    await granted(asking, replace(rate, subject="203.0.113.8"), call=anonymous)


@pytest.mark.parametrize(
    "limit", [RateLimit(999_999_999, 1, 999_999_999), RateLimit(1, 86400, 10**12), RateLimit(999_999_999, 86400, 10**15)]
)
def test_the_largest_limits_stay_below_what_the_store_computes_exactly(limit: RateLimit) -> None:
    gcra = Gcra.of(limit)
    now = 4 * 10**15
    assert now + gcra.tolerance + gcra.interval < 2**53
    assert gcra.interval_rest + gcra.tolerance_rest < 2**53


async def test_a_rate_whose_interval_is_no_whole_number_of_microseconds_is_exact(asking: Ledger, store_time: StoreTime) -> None:
    limit = RateLimit(7, 60, 1)
    rate = bucket(limit)
    model = Model(limit)
    for _ in range(300):
        assert isinstance(await ask(asking, rate), Granted) == model.admits(store_time.micros)
        store_time.micros += 4_285_714
