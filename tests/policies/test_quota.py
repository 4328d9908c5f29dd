from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.pipeline import demand
from gateway.pipeline.principal import ANONYMOUS
from gateway.tenancy.plan import Plan
from policies.quota import Quota
from tests import samples
from tests.samples import ACME, MAIN

EMAILS = Quota(Quota.Config(metric="emails", units=3), samples.SETUP)


def demanded(*, caps=None, planned=None, org=None, policy=EMAILS):
    call = samples.call(
        tenant=replace(ACME, caps=caps or {}), plan=Plan("pro", quotas=planned or {}), org=replace(MAIN, quotas=org or {})
    )
    return list(policy.demands(call))


def test_the_plans_cap_bounds_the_metric():
    assert demanded(planned={"emails": 10, "sms": 5}) == [demand.Quota("emails", cap=10, org_cap=None, units=3)]


def test_the_tenants_own_cap_goes_over_the_plans():
    assert demanded(planned={"emails": 10}, caps={"emails": 20})[0].cap == 20
    assert demanded(planned={"emails": 10}, caps={"emails": 0})[0].cap == 0
    assert demanded(planned={"emails": 10}, caps={"emails": None})[0].cap is None


def test_the_organizations_cap_bounds_it_as_well():
    assert demanded(planned={"emails": 10}, org={"emails": 100})[0].org_cap == 100


def test_what_is_unlimited_is_counted_all_the_same():
    assert demanded() == [demand.Quota("emails", cap=None, org_cap=None, units=3)]


def test_a_request_uses_one_unit_unless_the_route_says_more():
    assert demanded(policy=Quota(Quota.Config(metric="requests"), samples.SETUP))[0].units == 1


def test_a_call_without_a_tenant_is_refused_rather_than_not_counted():
    with pytest.raises(Refused) as refused:
        list(EMAILS.demands(samples.call(ANONYMOUS, None)))
    assert refused.value.problem is TENANT_HEADER_MISSING


def test_an_undeclared_metric_stops_the_start_and_names_those_that_exist():
    with pytest.raises(ValueError, match=r"no metric named 'email'; there are emails, requests"):
        Quota(Quota.Config(metric="email"), samples.SETUP)


@pytest.mark.parametrize("units", [0, -1])
def test_a_request_uses_at_least_one_unit(units):
    with pytest.raises(ValidationError):
        Quota.Config(metric="emails", units=units)
