"""The body is read for its units when the caller has passed everything that needs no body, and once."""

from __future__ import annotations

import pytest

from gateway.decision import Admission
from gateway.errors import INVALID_BODY, TENANT_SUSPENDED
from gateway.pipeline.lookup import TenantById
from gateway.pipeline.question import Admit, ReadBody
from policies.quota import Quota
from tests.pipeline.callers import (
    BOUND,
    BY_SLUG,
    JWT_BEARER,
    MATCH,
    SIGNATURE,
    STATUS,
    SUSPENDED,
    TenantBySlug,
    bearer,
    refused,
    signed,
    walk,
)
from tests.samples import ACME, SETUP

MESSAGES = Quota(Quota.Config(metric="emails", units_from={"json": "messages"}), SETUP)
SHADOW = Quota(Quota.Config(metric="emails", units_from={"json": "messages"}, mode="shadow"), SETUP)
BODY = b'{"messages": [1, 2, 3]}'


def test_the_units_of_the_body_are_demanded():
    machine = walk((JWT_BEARER, MATCH, STATUS, MESSAGES))
    machine.body = BODY
    assert isinstance(machine.decide(bearer()), Admission)
    (asked,) = machine.asked_for(Admit)
    assert [demand.units for demand in asked.demands] == [3]


def test_no_body_is_read_for_a_caller_that_is_refused_without_it():
    machine = walk((JWT_BEARER, MATCH, STATUS, MESSAGES), BY_SLUG | {TenantBySlug("acme"): SUSPENDED})
    assert refused(machine, bearer()) is TENANT_SUSPENDED
    assert machine.asked_for(ReadBody) == []


def test_a_signed_body_is_read_once():
    machine = walk((SIGNATURE, MATCH, STATUS, MESSAGES), {TenantById(ACME.id): BOUND})
    machine.body = BODY
    assert isinstance(machine.decide(signed(BODY)), Admission)
    assert len(machine.asked_for(ReadBody)) == 1


def test_a_body_without_units_is_refused_and_takes_nothing():
    machine = walk((JWT_BEARER, MATCH, STATUS, MESSAGES))
    machine.body = b"{}"
    assert refused(machine, bearer()) is INVALID_BODY
    assert machine.asked_for(Admit) == []


@pytest.mark.parametrize("body", [b"{}", b"x" * ((1 << 20) + 1)])
def test_in_shadow_any_body_passes(body):
    machine = walk((JWT_BEARER, MATCH, STATUS, SHADOW))
    machine.body = body
    assert isinstance(machine.decide(bearer()), Admission)
    assert len(machine.trail.shadowed) == 1
