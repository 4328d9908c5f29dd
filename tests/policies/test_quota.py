from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import BAD_REQUEST, BODY_TOO_LARGE, INVALID_BODY, TENANT_HEADER_MISSING, Refused
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


MESSAGES = Quota(Quota.Config(metric="emails", units_from={"json": "messages"}), samples.SETUP)
TOLD = Quota(Quota.Config(metric="emails", units_from="upstream", reserve=50), samples.SETUP)


def units_in(body: bytes | None) -> int:
    (wanted,) = MESSAGES.demands(replace(samples.call(), body=body))
    return wanted.units


@pytest.mark.parametrize(
    ("body", "units"),
    [(b'{"messages": 7}', 7), (b'{"messages": [{}, 1, "x"]}', 3), (b'{"messages": 0}', 0), (b'{"messages": []}', 0)],
)
def test_units_are_a_field_of_the_body_or_its_length(body, units):
    assert MESSAGES.reads_body
    assert units_in(body) == units


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[1]", b'{"messages": -1}', b'{"messages": 1.5}', b'{"messages": 1.0}', b'{"messages": true}',
     b'{"messages": "3"}',
     b'{"messages": null}', b'{"messages": {"a": 1}}', b'{"messages": 1000000000}'],
)  # fmt: skip
def test_a_body_without_a_number_of_units_is_told_which_field(body):
    with pytest.raises(Refused) as refused:
        units_in(body)
    assert refused.value.problem is INVALID_BODY
    assert refused.value.members["errors"][0]["field"] == "messages"


@pytest.mark.parametrize("body", [b"", b"{", b'{"messages": 1, "messages": 2}', b'{"messages": NaN}', b"\xff"])
def test_a_body_that_is_not_strict_json_is_refused(body):
    with pytest.raises(Refused) as refused:
        units_in(body)
    assert refused.value.problem is BAD_REQUEST


def test_a_body_that_is_too_large_to_be_read_is_refused():
    with pytest.raises(Refused) as refused:
        units_in(None)
    assert refused.value.problem is BODY_TOO_LARGE


def test_what_the_upstream_tells_is_held_in_reserve():
    assert not TOLD.reads_body
    assert demanded(policy=TOLD) == [demand.Quota("emails", None, None, units=50, told=True)]


@pytest.mark.parametrize(
    "config",
    [
        {"units": 2, "units_from": {"json": "n"}},
        {"units": 2, "units_from": "upstream", "reserve": 1},
        {"units_from": "upstream"},
        {"reserve": 5},
        {"units_from": {"json": "n"}, "reserve": 5},
        {"units_from": "body"},
        {"units_from": {"json": ""}},
    ],
)
def test_units_have_one_source_and_a_reserve_where_they_are_told_late(config):
    with pytest.raises(ValidationError):
        Quota.Config.model_validate({"metric": "emails", **config})
