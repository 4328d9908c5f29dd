from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.pipeline.policy import Setup
from gateway.pipeline.principal import ANONYMOUS
from gateway.tenancy.plan import Plan
from policies.concurrency import Concurrency
from tests import samples
from tests.samples import ACME, GLOBEX


def slots(tenant=ACME, *, plan=2, route="things", **config):
    policy = Concurrency(Concurrency.Config(**config), Setup(route))
    return list(policy.demands(samples.call(tenant=tenant, plan=Plan("pro", concurrency=plan))))


def test_the_plan_bounds_a_tenants_requests_over_all_routes():
    (slot,) = slots(route="things")
    assert (slot.scope, slot.limit) == ("tenant", 2)
    assert slots(route="others") == [slot]


def test_tenants_do_not_share_places():
    assert slots(ACME)[0].subject != slots(GLOBEX)[0].subject
    assert slots(ACME, limit=1)[0].subject != slots(GLOBEX, limit=1)[0].subject


def test_a_plan_without_a_bound_asks_for_no_place():
    assert slots(plan=None) == []


def test_a_plan_of_zero_blocks():
    assert slots(plan=0)[0].limit == 0


def test_a_limit_given_in_the_route_is_the_routes_alone():
    (slot,) = slots(limit=5)
    assert slot.limit == 5
    assert slot.subject not in {slots()[0].subject, slots(limit=5, route="others")[0].subject}


def test_all_callers_of_a_route_share_its_places():
    (slot,) = slots(limit=5, per="route")
    assert (slot.scope, slot.limit) == ("route", 5)
    assert slots(GLOBEX, limit=5, per="route") == [slot]
    assert slots(limit=5, per="route", route="others")[0].subject != slot.subject


def test_a_call_without_a_tenant_takes_a_routes_place_but_no_tenants():
    nobody = samples.call(ANONYMOUS, None)
    assert list(Concurrency(Concurrency.Config(limit=5, per="route"), samples.SETUP).demands(nobody))
    with pytest.raises(Refused) as refused:
        list(Concurrency(Concurrency.Config(), samples.SETUP).demands(nobody))
    assert refused.value.problem is TENANT_HEADER_MISSING


def test_a_route_needs_a_limit_of_its_own():
    with pytest.raises(ValidationError, match="needs a `limit`"):
        Concurrency.Config(per="route")
    with pytest.raises(ValidationError):
        Concurrency.Config(limit=-1)
