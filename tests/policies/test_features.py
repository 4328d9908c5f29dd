from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import FEATURE_NOT_IN_PLAN, TENANT_HEADER_MISSING, Refused
from gateway.pipeline.principal import ANONYMOUS
from gateway.tenancy.plan import Plan
from policies.features import Features
from tests import samples
from tests.samples import ACME

FEATURES = Features(Features.Config(require=("calls", "exports")), samples.SETUP)


def calling(*planned: str, **overrides: bool):
    return samples.call(tenant=replace(ACME, features=overrides), plan=Plan("pro", features=frozenset(planned)))


def test_a_plan_with_the_features_passes():
    FEATURES.check(calling("calls", "exports", "more"))


def test_a_plan_without_one_of_them_is_told_which():
    with pytest.raises(Refused) as refused:
        FEATURES.check(calling("calls"))
    assert refused.value.problem is FEATURE_NOT_IN_PLAN
    assert "exports" in refused.value.detail
    assert "calls" not in refused.value.detail


def test_the_tenants_own_override_grants_and_takes():
    FEATURES.check(calling("calls", exports=True))
    with pytest.raises(Refused):
        FEATURES.check(calling("calls", "exports", exports=False))


def test_without_a_tenant_nothing_is_included():
    with pytest.raises(Refused) as refused:
        FEATURES.check(samples.call(ANONYMOUS, None))
    assert refused.value.problem is TENANT_HEADER_MISSING


@pytest.mark.parametrize("require", [(), ("",)])
def test_a_route_must_name_what_it_requires(require):
    with pytest.raises(ValidationError):
        Features.Config(require=require)
