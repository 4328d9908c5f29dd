from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import FEATURE_NOT_IN_PLAN, INSUFFICIENT_SCOPE, TENANT_SUSPENDED, Refused
from gateway.pipeline.chain import Chain
from gateway.pipeline.demand import Nonce, Quota, Rate
from gateway.tenancy.plan import Plan
from gateway.tenancy.plan import RateLimit as Rating
from gateway.tenancy.tenant import Status
from policies.concurrency import Concurrency
from policies.features import Features
from policies.tenant_headers import TenantHeaders
from tests import samples
from tests.pipeline.callers import API_KEY, JWT_BEARER, MATCH, PUBLIC, QUOTA, RATE, READER, STATUS
from tests.samples import ACME, HMAC, SETUP

FEATURES = Features(Features.Config(require=("analytics",)), SETUP)
STAMP = TenantHeaders(TenantHeaders.Config(), SETUP)


def test_each_policy_is_asked_for_what_it_can_do():
    chain = Chain.of([JWT_BEARER, PUBLIC, MATCH, STATUS, RATE, QUOTA, STAMP])
    assert chain.authenticators == (JWT_BEARER,)
    assert chain.anonymous is PUBLIC.principal
    assert (chain.rights, chain.guards) == ((MATCH,), (STATUS,))
    assert chain.meters == (RATE, QUOTA)
    assert chain.stamps == (STAMP,)
    assert chain.cross_origin is None


def test_guards_are_asked_in_their_order_and_the_first_that_refuses_answers():
    call = samples.call(tenant=replace(ACME, status=Status.SUSPENDED))
    for guards, problem in (([FEATURES, STATUS], FEATURE_NOT_IN_PLAN), ([STATUS, FEATURES], TENANT_SUSPENDED)):
        with pytest.raises(Refused) as refused:
            Chain.of(guards).check_tenant(call, [])
        assert refused.value.problem is problem


def test_the_callers_right_is_a_question_of_its_own():
    chain = Chain.of([MATCH, READER, STATUS])
    call = samples.call(HMAC, replace(ACME, status=Status.SUSPENDED))
    with pytest.raises(Refused) as refused:
        chain.check_right(call, [])
    assert refused.value.problem is INSUFFICIENT_SCOPE
    chain.check_right(replace(call, principal=replace(HMAC, scopes=frozenset({"read"}))), [])


def test_the_credentials_nonce_is_demanded_before_everything_else():
    plan = Plan("pro", rate=Rating(5, 1, 5), concurrency=2)
    caller = replace(HMAC, nonce="n" * 16, nonce_ttl=600)
    slots = Concurrency(Concurrency.Config(), SETUP)
    demands = Chain.of([RATE, QUOTA, slots]).demands(samples.call(caller, plan=plan), [])
    assert demands[0] == Nonce("n" * 16, 600)
    assert [type(demand) for demand in demands[1:3]] == [Rate, Quota]
    assert len(demands) == 4


def test_another_routes_authenticator_of_the_same_kind_is_no_other():
    assert Chain.of([JWT_BEARER], [JWT_BEARER, API_KEY, API_KEY]).others == (API_KEY,)


def test_every_stamp_is_set():
    headers: dict[str, str] = {}
    Chain.of([STAMP]).stamp(samples.call(), headers)
    assert headers["x-tenant"] == "acme"
