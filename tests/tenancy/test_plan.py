from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.tenancy.plan import Plan, RateLimit
from tests.samples import ACME


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("100/second", RateLimit(100, 1, 100)),
        ("60/minute", RateLimit(60, 60, 60)),
        ("1000 / hour", RateLimit(1000, 3600, 1000)),
        ("5/day", RateLimit(5, 86400, 5)),
        ("0/second", RateLimit(0, 1, 0)),
    ],
)
def test_a_rate_is_a_count_per_unit_of_time(text, limit):
    assert RateLimit.parse(text) == limit
    assert RateLimit.parse(str(limit)) == limit


def test_a_burst_is_the_count_unless_it_is_given():
    assert RateLimit.parse("100/second", 5).burst == 5
    assert RateLimit.parse("100/second", 0).burst == 0


@pytest.mark.parametrize(
    "text", ["", "100", "/second", "-1/second", "1.5/second", "1/week", "1/seconds", "1e3/second", "9999999999/day", "٥/day"]
)
def test_anything_else_is_no_rate(text):
    with pytest.raises(ValueError, match="is not a rate such as"):
        RateLimit.parse(text)


def test_a_tenants_own_values_lie_over_its_plans():
    plan = Plan("pro", rate=RateLimit(100, 1, 100), quotas={"emails": 10, "sms": None}, features=frozenset({"calls"}))
    own = replace(ACME, rate=RateLimit(5, 1, 5), caps={"emails": None, "sms": 0}, features={"calls": False, "exports": True})
    assert (ACME.rate_limit(plan), own.rate_limit(plan)) == (plan.rate, own.rate)
    assert (ACME.cap("emails", plan), own.cap("emails", plan)) == (10, None)
    assert (ACME.cap("sms", plan), own.cap("sms", plan)) == (None, 0)
    assert ACME.cap("tokens", plan) is None
    assert (ACME.has_feature("calls", plan), own.has_feature("calls", plan)) == (True, False)
    assert (ACME.has_feature("exports", plan), own.has_feature("exports", plan)) == (False, True)
