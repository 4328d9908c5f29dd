"""A guard that reads the body and the organization's record, in a whole decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.decision import Admission
from gateway.pipeline.chain import Chain
from gateway.pipeline.lookup import OrgByName, OwnerOfKey, TenantBySlug
from gateway.pipeline.question import SMALL_BODY, Admit, ReadBody, Resolve
from gateway.tenancy.domain import Domain
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Status
from policies.domains import Domains
from policies.features import Features
from tests import samples
from tests.pipeline.callers import API_KEY, BOUND, BOUND_TEXT, MATCH, NOW, PLAN, ROOT, ROOT_TEXT, STATUS, refused
from tests.pipeline.machine import Machine
from tests.samples import SETUP

FROM = Domains(Domains.Config(field="from"), SETUP)
SHARED = replace(ROOT, domains=(Domain("dom_1", "shared.example", "t", 0, verified_at=1),))
BY_KEY, BY_NAME = OwnerOfKey(digest_of(BOUND_TEXT)), OrgByName("main")


def machine(*policies, body: bytes = b'{"from": "a@shared.example"}', tenant=BOUND, org=SHARED) -> Machine:
    truth = {BY_KEY: tenant, BY_NAME: org, OwnerOfKey(digest_of(ROOT_TEXT)): org}
    made = Machine(policies or (API_KEY, MATCH, STATUS, FROM), truth, plan=PLAN)
    made.body = body
    return made


def change(walk: Machine, org: Organization) -> None:
    walk.truth[BY_NAME] = walk.truth[OwnerOfKey(digest_of(ROOT_TEXT))] = org


def sent(key: str = BOUND_TEXT, **headers: str):
    return samples.request("POST", headers={"X-Api-Key": key, **headers}, received_at=NOW)


def test_what_the_organization_has_proved_is_seen_and_decided_upon():
    walk = machine()
    admission = walk.decide(sent())
    assert isinstance(admission, Admission)
    (admit,) = walk.asked_for(Admit)
    assert isinstance(admit, Admit)
    assert admit.basis == (BOUND, SHARED)
    assert admission.precedent is None


def test_a_domain_that_was_deleted_allows_nothing_however_well_it_is_remembered():
    walk = machine()
    walk.remember()
    change(walk, replace(SHARED, version=2, domains=()))
    assert refused(walk, sent()) is errors.DOMAIN_NOT_ALLOWED


def test_a_domain_that_was_proved_just_now_is_allowed_at_once():
    walk = machine(org=ROOT)
    walk.remember()
    change(walk, replace(SHARED, version=2))
    assert isinstance(walk.decide(sent()), Admission)


def test_the_body_is_read_only_for_who_has_passed_the_guards_before():
    suspended = machine(tenant=replace(BOUND, status=Status.SUSPENDED))
    assert refused(suspended, sent()) is errors.TENANT_SUSPENDED
    assert suspended.asked_for(ReadBody) == []
    lacking = machine(API_KEY, MATCH, STATUS, Features(Features.Config(require=("x",)), SETUP), FROM)
    assert refused(lacking, sent()) is errors.FEATURE_NOT_IN_PLAN
    assert lacking.asked_for(ReadBody) == []


def test_guards_after_the_one_that_reads_keep_their_place():
    features = Features(Features.Config(require=("x",)), SETUP)
    walk = machine(API_KEY, MATCH, STATUS, FROM, features, body=b'{"from": "a@globex.com"}')
    assert refused(walk, sent()) is errors.DOMAIN_NOT_ALLOWED
    walk.body = b'{"from": "a@shared.example"}'
    assert refused(walk, sent()) is errors.FEATURE_NOT_IN_PLAN
    assert Chain.of([FROM, features, STATUS]).readers == (FROM, features, STATUS)


def test_in_shadow_it_is_noted_and_passes():
    shadow = Domains(Domains.Config(field="from", mode="shadow"), SETUP)
    for body in (b'{"from": "a@globex.com"}', b"no json", b"x" * (SMALL_BODY + 1)):
        walk = machine(API_KEY, MATCH, STATUS, shadow, body=body)
        assert isinstance(walk.decide(sent()), Admission)
        assert len(walk.trail.shadowed) == 1


def test_a_root_keys_organization_is_looked_up_and_named_once():
    walk = machine()
    walk.truth[TenantBySlug("acme")] = BOUND
    assert isinstance(walk.decide(sent(ROOT_TEXT, **{"X-Tenant": "acme"})), Admission)
    (admit,) = walk.asked_for(Admit)
    assert isinstance(admit, Admit)
    assert admit.basis == (SHARED, BOUND)


def test_no_other_route_asks_for_the_organization():
    walk = machine(API_KEY, MATCH, STATUS)
    walk.decide(sent())
    assert walk.asked_for(Resolve) == [Resolve(BY_KEY)]
    assert walk.asked_for(ReadBody) == []


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_body_that_names_nothing_is_refused(body: bytes):
    assert refused(machine(body=body), sent()) in (errors.BAD_REQUEST, errors.DOMAIN_NOT_ALLOWED)
