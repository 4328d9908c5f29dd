from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.pipeline.demand import Release, Reserve
from gateway.pipeline.principal import ANONYMOUS
from gateway.tenancy.plan import Plan
from policies.resource_cap import ResourceCap
from tests import samples


def demanded(**config):
    policy = ResourceCap(ResourceCap.Config(resource="users", **config), samples.SETUP)
    return list(policy.demands(samples.call(plan=Plan("pro", resources={"users": 5, "departments": 0}))))


def test_the_route_that_makes_one_reserves_it_under_the_plans_cap():
    assert demanded() == [Reserve("users", 5)]


def test_the_route_that_deletes_one_releases_it():
    assert demanded(action="release") == [Release("users")]


def test_what_the_plan_does_not_bound_is_counted_all_the_same():
    policy = ResourceCap(ResourceCap.Config(resource="users"), samples.SETUP)
    assert list(policy.demands(samples.call())) == [Reserve("users", None)]


def test_a_call_without_a_tenant_is_refused():
    policy = ResourceCap(ResourceCap.Config(resource="users"), samples.SETUP)
    with pytest.raises(Refused) as refused:
        list(policy.demands(samples.call(ANONYMOUS, None)))
    assert refused.value.problem is TENANT_HEADER_MISSING


def test_a_resource_that_no_plan_has_stops_the_start_and_names_those_that_exist():
    with pytest.raises(ValueError, match="no plan has a resource named 'user'; there are departments, users"):
        ResourceCap(ResourceCap.Config(resource="user"), samples.SETUP)


def test_there_are_two_actions():
    with pytest.raises(ValidationError):
        ResourceCap.Config.model_validate({"resource": "users", "action": "take"})
