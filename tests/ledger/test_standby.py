"""Limits of a worker that is left alone: no more than each says, all of them or none."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import pytest

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.ledger.bucket import Lent, SlotBucket
from gateway.ledger.hold import Hold
from gateway.ledger.lease import Lease
from gateway.ledger.standby import Standby
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing
from gateway.pipeline.question import Admit
from gateway.tenancy.plan import RateLimit
from tests import samples
from tests.ledger.samples import CALL, StoreTime

RATE = Rate("plan", "tenant", "", RateLimit.parse("10/second", 5))
QUOTA = Quota("messages", cap=10, org_cap=None)
SLOT = Slot("plan", "tenant", "", 2)


@dataclass
class Alone:
    """A standby, its time, and what its ledger held last."""

    time: StoreTime = field(default_factory=StoreTime)
    lease: Lease | None = None

    def __post_init__(self) -> None:
        self.standby = Standby(self.time, self.known)

    def known(self, tag: str, name: Hashable) -> Lease | None:
        return self.lease

    def ask(self, *demands: Demand, call: Call = CALL) -> tuple[tuple[Standing, ...], Hold | None]:
        return self.standby.take(Admit(call, (), demands))

    def admits(self, *demands: Demand, call: Call = CALL) -> bool:
        return self.ask(*demands, call=call)[1] is not None

    def hold(self, *demands: Demand) -> Hold:
        _, hold = self.ask(*demands)
        assert hold is not None
        return hold


@pytest.fixture
def alone() -> Alone:
    return Alone()


def lease_with(left: int) -> Lease:
    return Lease(SlotBucket(Lent("", ""), 0), "epoch", left=left, told_at=1.0)


def test_a_rate_admits_its_burst_and_then_what_its_time_brings(alone):
    assert [alone.admits(RATE) for _ in range(7)] == [True] * 5 + [False] * 2
    alone.time.advance(0.1)
    assert [alone.admits(RATE) for _ in range(2)] == [True, False]
    alone.time.advance(3600)
    assert [alone.admits(RATE) for _ in range(7)] == [True] * 5 + [False] * 2


def test_a_refusal_says_when_the_rate_admits_again(alone):
    for _ in range(5):
        alone.hold(RATE)
    ((standing,), hold) = alone.ask(RATE)
    assert hold is None
    assert (standing.admitted, standing.remaining, standing.wait) == (False, 0, pytest.approx(0.1))


def test_a_rate_of_nothing_blocks(alone):
    assert not alone.admits(replace(RATE, limit=RateLimit.parse("0/second")))


def test_a_quota_admits_exactly_its_units(alone):
    assert [alone.admits(replace(QUOTA, units=3)) for _ in range(4)] == [True, True, True, False]
    assert alone.admits(QUOTA)
    assert not alone.admits(QUOTA)


def test_a_quota_goes_on_from_what_the_store_told_last(alone):
    alone.lease = lease_with(left=2)
    assert [alone.admits(QUOTA) for _ in range(3)] == [True, True, False]


def test_a_quota_of_which_nothing_was_told_has_its_cap(alone):
    alone.lease = replace(lease_with(left=0), told_at=0.0)
    assert alone.admits(replace(QUOTA, units=10))


def test_the_organization_bounds_its_tenants_together(alone):
    quota = Quota("messages", cap=None, org_cap=3)
    other = samples.call(samples.BOUND_KEY, tenant=samples.GLOBEX)
    assert [alone.admits(quota, call=call) for call in (CALL, other, CALL)] == [True] * 3
    ((standing,), hold) = alone.ask(quota, call=other)
    assert hold is None
    assert standing.by_org


def test_tenants_do_not_use_up_each_others_quota(alone):
    assert alone.admits(replace(QUOTA, units=10))
    assert alone.admits(replace(QUOTA, units=10), call=samples.call(samples.BOUND_KEY, tenant=samples.GLOBEX))


def test_a_quota_is_anew_in_a_new_month(alone):
    assert alone.admits(replace(QUOTA, units=10))
    assert not alone.admits(QUOTA)
    alone.time.set("2040-06-01T00:00:00+00:00")
    assert alone.admits(QUOTA)


@pytest.mark.parametrize("used", [0, 1, 4])
def test_what_was_not_used_comes_back(alone, used):
    alone.hold(replace(QUOTA, units=10)).end([used])
    assert alone.admits(replace(QUOTA, units=10 - used))
    assert not alone.admits(QUOTA)


def test_what_went_beyond_is_used_up_too(alone):
    alone.hold(replace(QUOTA, units=2)).end([9])
    assert alone.admits(QUOTA)
    assert not alone.admits(QUOTA)


def test_places_are_there_again_when_requests_end(alone):
    holds = [alone.hold(SLOT), alone.hold(SLOT)]
    assert not alone.admits(SLOT)
    holds[0].end([])
    assert alone.admits(SLOT)
    assert not alone.admits(SLOT)


def test_requests_from_before_the_outage_hold_their_places(alone):
    alone.lease = Lease(SlotBucket(Lent("", ""), 2), "epoch", busy=1, over=True)
    assert [alone.admits(SLOT) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("refusing", [replace(QUOTA, cap=0), replace(SLOT, limit=0)])
def test_a_request_that_one_limit_refuses_has_taken_nothing(alone, refusing):
    for _ in range(20):
        assert not alone.admits(RATE, replace(QUOTA, units=10), SLOT, refusing)
    assert alone.admits(RATE, replace(QUOTA, units=10), SLOT)
    assert [alone.admits(RATE) for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize("demand", [Nonce("n", 60), Reserve("users", 5), Reserve("users", None, shadow=True), Release("users")])
def test_what_only_the_store_can_tell_is_refused_and_nothing_is_taken(alone, demand):
    with pytest.raises(Refused) as refused:
        alone.ask(replace(QUOTA, units=10), demand)
    assert refused.value.problem is STORE_UNAVAILABLE
    assert alone.admits(replace(QUOTA, units=10))


def test_limits_in_shadow_refuse_nothing_and_tell(alone):
    demands = (replace(QUOTA, cap=0, shadow=True), replace(SLOT, limit=0, shadow=True))
    standings, hold = alone.ask(*demands)
    assert hold is not None
    assert [standing.admitted for standing in standings] == [False, False]


def test_once_the_store_knows_what_was_used_it_is_asked_again_how_much_is_left(alone):
    assert alone.admits(replace(QUOTA, units=10))
    alone.standby.forget()
    alone.lease = lease_with(left=1)
    assert [alone.admits(QUOTA) for _ in range(2)] == [True, False]


def test_addresses_that_anybody_makes_up_push_no_tenant_out(alone):
    for _ in range(5):
        alone.hold(RATE)
    public = samples.call()
    for number in range(3000):
        alone.admits(Rate("ip", "client_ip", f"a{number}", RATE.limit), call=replace(public, customer=None))
    assert not alone.admits(RATE)
