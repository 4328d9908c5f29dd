from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import TENANT_HEADER_MISSING, TENANT_MISMATCH, Problem, Refused
from gateway.pipeline.principal import ANONYMOUS, Principal
from policies.tenant_match import TenantMatch
from tests import samples
from tests.samples import ACME, BOUND_KEY, GLOBEX, HMAC, JWT, ROOT_KEY

MATCH = TenantMatch(TenantMatch.Config(), samples.SETUP)
CALLERS = [JWT, HMAC, BOUND_KEY, ROOT_KEY, Principal("widget", "pk_1")]
each_caller = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.method + "-root" * caller.root)


def refusal(caller: Principal, headers: dict[str, str], *, tenant=ACME) -> Problem:
    with pytest.raises(Refused) as refused:
        MATCH.check(samples.call(caller, tenant, request=samples.request(headers=headers)))
    return refused.value.problem


def passes(caller: Principal, headers: dict[str, str], *, tenant=ACME) -> None:
    MATCH.check(samples.call(caller, tenant, request=samples.request(headers=headers)))


def test_a_token_needs_the_tenants_name_beside_it():
    assert refusal(JWT, {}) is TENANT_HEADER_MISSING
    assert refusal(JWT, {"X-Tenant": ""}) is TENANT_HEADER_MISSING
    assert refusal(JWT, {"X-Tenant-Id": ACME.typeid}) is TENANT_HEADER_MISSING
    passes(JWT, {"X-Tenant": "acme"})


@each_caller
@pytest.mark.parametrize(
    "name", ["globex", "ACME", "Acme", "acme ", " acme", "acme,globex", "acme\x00", "acmé", "acm", "%61cme"]
)
def test_another_name_than_the_tenants_slug_is_refused(caller, name):
    assert refusal(caller, {"X-Tenant": name}) is TENANT_MISMATCH


@each_caller
def test_both_forms_of_the_tenants_id_agree_with_it(caller):
    for tenant_id in (str(ACME.id), ACME.typeid):
        passes(caller, {"X-Tenant": "acme", "X-Tenant-Id": tenant_id})


@each_caller
@pytest.mark.parametrize("tenant_id", [str(GLOBEX.id), GLOBEX.typeid, str(ACME.id).upper(), "acme", ""])
def test_another_id_than_the_tenants_is_refused(caller, tenant_id):
    assert refusal(caller, {"X-Tenant": "acme", "X-Tenant-Id": tenant_id}) is TENANT_MISMATCH


@pytest.mark.parametrize("caller", CALLERS[1:])
def test_only_a_token_needs_a_header(caller):
    passes(caller, {})


@each_caller
def test_a_caller_with_a_credential_and_no_tenant_is_refused(caller):
    assert refusal(caller, {}, tenant=None) is TENANT_HEADER_MISSING
    assert refusal(caller, {"X-Tenant": "acme"}, tenant=None) is TENANT_HEADER_MISSING


def test_anonymous_callers_have_no_tenant_to_agree_with():
    passes(ANONYMOUS, {"X-Tenant": "acme"}, tenant=None)


def test_a_platforms_key_may_name_nobody_where_the_gateway_answers_itself():
    asked = replace(samples.call(ROOT_KEY, tenant=None), upstream=None)
    MATCH.check(asked)
    for refused in (replace(asked, upstream="things"), replace(asked, principal=BOUND_KEY)):
        with pytest.raises(Refused, match="TENANT_HEADER_MISSING"):
            MATCH.check(refused)
