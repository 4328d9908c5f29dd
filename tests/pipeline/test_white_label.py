"""Hosts that are tenants' own: whose they are says for whom a request is, before anything else is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.decision import Admission
from gateway.pipeline.lookup import OwnerOfKey, TenantByHost, TenantByRef, TenantBySlug
from gateway.pipeline.question import Admit, Provide, Resolve
from gateway.tenancy.domain import Domain
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status
from policies.tenant_headers import TenantHeaders
from tests import samples
from tests.pipeline.callers import API_KEY, BOUND, BOUND_TEXT, MATCH, NOW, PLAN, PUBLIC, ROOT, ROOT_TEXT, STATUS, refused
from tests.pipeline.machine import Machine
from tests.samples import GLOBEX, SETUP

OWN = replace(BOUND, domains=(Domain("dom_1", "shop.acme.com", "t", 0, verified_at=1),))
OTHER = replace(GLOBEX, domains=(Domain("dom_2", "shop.globex.com", "t", 0, verified_at=1),))
HOST, OTHERS_HOST = TenantByHost("shop.acme.com"), TenantByHost("shop.globex.com")
STAMP = TenantHeaders(TenantHeaders.Config(), SETUP)


def machine() -> Machine:
    known = {
        HOST: OWN,
        OTHERS_HOST: OTHER,
        OwnerOfKey(digest_of(BOUND_TEXT)): OWN,
        OwnerOfKey(digest_of(ROOT_TEXT)): ROOT,
        TenantBySlug("acme"): OWN,
    }
    return Machine((PUBLIC, API_KEY, MATCH, STATUS, STAMP), known, plan=PLAN, white_label=True)


def sent(host: str = "shop.acme.com", key: str | None = None, **headers: str):
    credential = {} if key is None else {"X-Api-Key": key}
    return samples.request(headers={**credential, **headers}, host=host, received_at=NOW)


@pytest.mark.parametrize("host", ["shop.acme.com", "shop.acme.com:8443"])
def test_the_host_says_for_which_tenant_an_anonymous_request_is(host):
    walk = machine()
    admission = walk.decide(sent(host))
    assert isinstance(admission, Admission)
    assert admission.call.customer is not None
    assert admission.call.customer.tenant == OWN
    assert walk.trail.tenant == OWN
    (admit,) = walk.asked_for(Admit)
    assert isinstance(admit, Admit)
    assert admit.basis == (OWN,)
    headers: dict[str, str] = {}
    admission.route.chain.stamp(admission.call, headers)
    assert (headers["x-tenant"], headers["x-auth-method"]) == ("acme", "public")


@pytest.mark.parametrize("host", ["unknown.example", "192.0.2.1", "[::1]:80", "localhost", "acme.com", "x.shop.acme.com"])
@pytest.mark.parametrize("key", [None, BOUND_TEXT, "tg_live_wrong"], ids=["none", "good", "wrong"])
def test_a_host_of_nobody_is_no_route_whatever_the_credential(host, key):
    walk = machine()
    assert refused(walk, sent(host, key)) is errors.ROUTE_NOT_FOUND
    assert all(isinstance(one, Resolve) and isinstance(one.lookup, TenantByHost) for one in walk.asked)


def test_a_credential_of_another_tenant_is_refused_on_the_host():
    assert isinstance(machine().decide(sent(key=BOUND_TEXT)), Admission)
    assert refused(machine(), sent("shop.globex.com", BOUND_TEXT)) is errors.TENANT_MISMATCH


def test_a_wrong_credential_is_told_as_such_and_not_as_another_tenants():
    walk = machine()
    walk.truth[OwnerOfKey(digest_of(BOUND_TEXT))] = replace(OWN, keys=())
    assert refused(walk, sent("shop.globex.com", BOUND_TEXT)) is errors.KEY_INVALID


def test_an_anonymous_request_can_not_name_another_tenant_than_the_host():
    assert refused(machine(), sent(**{"X-Tenant": "globex"})) is errors.TENANT_MISMATCH
    assert isinstance(machine().decide(sent(**{"X-Tenant": "acme"})), Admission)


def test_a_root_key_names_the_tenant_of_the_host_or_nobody_is_served():
    assert isinstance(machine().decide(sent(key=ROOT_TEXT, **{"X-Tenant": "acme"})), Admission)
    for naming in ({}, {"X-Tenant-Ref": "new"}):
        walk = machine()
        assert refused(walk, sent(key=ROOT_TEXT, **naming)) is errors.TENANT_MISMATCH
        assert walk.asked_for(Provide) == []
        assert TenantByRef("main", "new") not in walk.truth


def test_a_suspended_tenants_host_is_not_served():
    walk = machine()
    walk.truth[HOST] = replace(OWN, status=Status.SUSPENDED, version=2)
    assert refused(walk, sent()) is errors.TENANT_SUSPENDED


def test_a_host_that_was_given_up_is_nobodys_however_well_it_is_remembered():
    walk = machine()
    walk.remember()
    del walk.truth[HOST]
    walk.truth[OwnerOfKey(digest_of(BOUND_TEXT))] = replace(OWN, version=2, domains=())
    walk.truth[TenantBySlug("acme")] = replace(OWN, version=2, domains=())
    assert refused(walk, sent()) is errors.ROUTE_NOT_FOUND


def test_a_request_that_comes_again_need_not_be_decided_anew():
    walk = machine()
    walk.remember()
    walk.leases = [OWN]
    first = walk.decide(sent())
    assert isinstance(first, Admission)
    assert first.precedent is not None
    assert first.precedent.question.basis == (OWN,)
