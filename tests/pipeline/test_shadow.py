"""Policies in shadow decide, are noted, and let pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.decision import Admission
from gateway.errors import FEATURE_NOT_IN_PLAN, INSUFFICIENT_SCOPE, RATE_LIMITED, TENANT_HEADER_MISSING, Refused
from gateway.pipeline.chain import Chain
from gateway.pipeline.limits import limit_headers
from gateway.settings.policies import builtin_policies, find_policy
from policies.features import Features
from policies.origin import Origin
from policies.quota import Quota
from policies.rate_limit import RateLimit
from policies.scopes import Scopes
from tests import samples
from tests.pipeline.callers import JWT_BEARER, MATCH, PUBLIC, RATE, STATUS, bearer, walk
from tests.samples import ACME, SETUP

WRITER = Scopes(Scopes.Config(require=("write",), mode="shadow"), SETUP)
EXPORTS = Features(Features.Config(require=("exports",), mode="shadow"), SETUP)
ENFORCED = Features(Features.Config(require=("exports",)), SETUP)
ONE = RateLimit(RateLimit.Config(rate="1/minute", mode="shadow"), SETUP)
EMAILS = Quota(Quota.Config(metric="emails", mode="shadow"), SETUP)
IDENTITY = (JWT_BEARER, MATCH)


def test_what_guards_in_shadow_would_have_refused_is_noted_each_code_once():
    machine = walk((*IDENTITY, WRITER, STATUS, EXPORTS, replace_config(EXPORTS, "calls")))
    assert isinstance(machine.decide(bearer()), Admission)
    assert machine.trail.shadowed == (INSUFFICIENT_SCOPE, FEATURE_NOT_IN_PLAN)


def replace_config(policy: Features, feature: str) -> Features:
    return Features(Features.Config(require=(feature,), mode=policy.mode), SETUP)


def test_what_a_guard_in_shadow_lets_pass_is_not_noted():
    machine = walk((*IDENTITY, Scopes(Scopes.Config(require=("read",), mode="shadow"), SETUP), STATUS))
    machine.decide(bearer())
    assert machine.trail.shadowed == ()


def test_a_guard_in_shadow_does_not_cover_for_one_that_is_enforced():
    machine = walk((*IDENTITY, WRITER, STATUS, ENFORCED))
    with pytest.raises(Refused) as refused:
        machine.decide(bearer())
    assert refused.value.problem is FEATURE_NOT_IN_PLAN
    # It did not pass, so nobody is told that it did.
    assert machine.trail.shadowed == ()


def test_a_limit_in_shadow_passes_and_tells_the_client_nothing():
    machine = walk((*IDENTITY, STATUS, RATE, ONE))
    decided = [machine.decide(bearer()) for _ in range(2)]
    assert machine.trail.shadowed == (RATE_LIMITED,)
    for admission in decided:
        assert isinstance(admission, Admission)
        assert dict(limit_headers(admission.standings))["RateLimit-Policy"] == '"tenant";q=2;w=60'


def test_an_enforced_limit_beside_it_refuses_and_is_alone_in_the_answer():
    machine = walk((*IDENTITY, STATUS, ONE, RATE))
    for _ in range(2):
        machine.decide(bearer())
    with pytest.raises(Refused) as refused:
        machine.decide(bearer())
    assert refused.value.members == {"violated-policies": ["tenant"]}
    assert "things" not in dict(refused.value.headers)["RateLimit-Policy"]


def test_a_meter_in_shadow_that_can_not_say_what_it_wants_lets_pass():
    machine = walk((PUBLIC, EMAILS))
    assert isinstance(machine.decide(samples.request()), Admission)
    assert machine.trail.shadowed == (TENANT_HEADER_MISSING,)


def test_a_round_that_was_repeated_is_noted_once():
    machine = walk((*IDENTITY, STATUS, EXPORTS))
    machine.remember()
    machine.truth = {lookup: replace(ACME, version=2, features={"exports": True}) for lookup in machine.truth}
    machine.decide(bearer())
    assert machine.trail.shadowed == ()


def test_pages_of_any_origin_may_read_what_a_shadowed_origin_lets_pass():
    shadow, page = Origin(Origin.Config(mode="shadow"), SETUP), {"Origin": "https://new.example"}
    sent = samples.request("OPTIONS", headers={**page, "Access-Control-Request-Method": "GET"})
    assert shadow.allow(sent, ACME)["Access-Control-Allow-Origin"] == "https://new.example"
    assert "Access-Control-Allow-Origin" in shadow.expose(samples.call(request=sent))
    nowhere = samples.call(request=samples.request(headers={"Origin": "null"}))
    assert "Access-Control-Allow-Origin" not in shadow.expose(nowhere)


def test_whose_call_it_is_can_not_be_in_shadow_and_everything_else_can():
    modes = {name for name in builtin_policies() if "mode" in find_policy(name).Config.model_fields}
    assert modes == {"concurrency", "domains", "features", "origin", "quota", "rate_limit", "resource_cap", "scopes"}


@pytest.mark.parametrize("name", ["concurrency", "quota", "rate_limit", "resource_cap"])
def test_a_demand_carries_its_policys_mode(name):
    configs = {
        "concurrency": {"limit": 1},
        "quota": {"metric": "emails"},
        "rate_limit": {"rate": "1/minute"},
        "resource_cap": {"resource": "users"},
    }
    kind = find_policy(name)
    for mode in ("enforce", "shadow"):
        policy = kind(kind.Config.model_validate({**configs[name], "mode": mode}), SETUP)
        (demand,) = Chain.of([policy]).demands(samples.call(), [])
        assert demand.shadow == (mode == "shadow")
