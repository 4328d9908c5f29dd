"""A reference that no tenant has yet: when one is made for it, for whom, and what the answer says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.decision import Admission
from gateway.pipeline.lookup import Lookup, OwnerOfKey, Record, TenantByRef
from gateway.pipeline.question import Changed, Provide, Resolve
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status
from policies.scopes import Scopes
from tests import samples
from tests.pipeline.callers import API_KEY, BOUND, BOUND_TEXT, MATCH, NOW, PLAN, READER, ROOT, ROOT_TEXT, STATUS, refused
from tests.pipeline.machine import Machine
from tests.samples import ACME, SETUP

REF = TenantByRef("main", "cust_1")
KEYS: dict[Lookup, Record] = {OwnerOfKey(digest_of(ROOT_TEXT)): ROOT, OwnerOfKey(digest_of(BOUND_TEXT)): BOUND}
WRITER = Scopes(Scopes.Config(require=("write",)), SETUP)


def walking(*policies, truth=KEYS) -> Machine:
    return Machine(policies or (API_KEY, MATCH, READER, STATUS), truth, plan=PLAN)


def sent(key: str = ROOT_TEXT, ref: str = "cust_1"):
    return samples.request(headers={"X-Api-Key": key, "X-Tenant-Ref": ref}, received_at=NOW)


def test_the_first_request_makes_the_tenant_and_is_served_for_it():
    machine = walking()
    admission = machine.decide(sent())
    assert isinstance(admission, Admission)
    assert admission.call.customer is not None
    tenant = admission.call.customer.tenant
    assert tenant.external_ref == "cust_1"
    assert machine.trail.answer_headers == {"X-Tenant-Id": tenant.typeid, "X-Tenant-Created": "true"}
    assert machine.asked_for(Provide) == [Provide(REF, "key_1", "r1")]


def test_the_next_one_finds_it_and_makes_nothing():
    machine = walking()
    machine.decide(sent())
    machine.asked.clear()
    assert isinstance(machine.decide(sent()), Admission)
    assert machine.asked_for(Provide) == []
    assert set(machine.trail.answer_headers) == {"X-Tenant-Id"}


def test_who_finds_that_somebody_else_was_faster_has_created_nothing():
    machine = walking()
    look_up = machine._resolve

    def blind(lookup: Lookup) -> Record | None:
        return None if lookup == REF else look_up(lookup)

    machine.truth[REF] = replace(ACME, external_ref="cust_1")
    machine._resolve = blind  # type: ignore[method-assign]
    assert isinstance(machine.decide(sent()), Admission)
    assert machine.trail.answer_headers == {"X-Tenant-Id": ACME.typeid}


def test_nothing_is_made_for_a_caller_without_the_right():
    machine = walking(API_KEY, MATCH, WRITER, STATUS)
    assert refused(machine, sent()) is errors.INSUFFICIENT_SCOPE
    assert refused(machine, sent(BOUND_TEXT)) is errors.TENANT_KEY_FORBIDDEN
    assert machine.asked_for(Provide) == []


@pytest.mark.parametrize("ref", ["", "../x", "a/b", "a\\b", "r" * 256, "r" * 1024, "\x01", "\x7f", " x", "é"])
def test_nothing_is_made_for_what_can_not_be_a_reference(ref):
    machine = walking()
    assert refused(machine, sent(ref=ref)) is errors.BAD_REQUEST
    assert machine.asked_for(Provide) == []


def test_a_key_that_has_been_revoked_makes_no_tenant_however_well_it_is_remembered():
    machine = walking()
    machine.remember()
    (key,) = ROOT.keys
    machine.truth[OwnerOfKey(digest_of(ROOT_TEXT))] = replace(ROOT, version=2, keys=(replace(key, revoked_at=NOW - 1),))
    assert refused(machine, sent()) is errors.KEY_REVOKED
    assert machine.asked_for(Provide) == []


def test_a_lease_of_the_keys_organization_is_enough():
    machine = walking()
    machine.remember()
    machine.leases = [ROOT]
    assert isinstance(machine.decide(sent()), Admission)
    assert machine.asked_for(Resolve) == [Resolve(REF)]


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.ARCHIVED])
def test_a_tenant_that_is_blocked_is_not_made_anew_and_not_used(status):
    truth = {**KEYS, REF: replace(ACME, external_ref="cust_1", status=status)}
    machine = walking(truth=truth)
    assert refused(machine, sent()) is errors.TENANT_NOT_USABLE
    assert machine.trail.answer_headers == {"X-Tenant-Id": ACME.typeid}
    # A missing right is told first, and the id all the same.
    machine = walking(API_KEY, MATCH, WRITER, STATUS, truth=truth)
    assert refused(machine, sent()) is errors.INSUFFICIENT_SCOPE
    assert machine.trail.answer_headers == {"X-Tenant-Id": ACME.typeid}


def test_a_tenant_that_waits_for_its_backend_is_made_and_not_served_yet():
    machine = walking()
    provide = machine._provide

    def waiting(question: Provide):
        provided = provide(question)
        machine.truth[REF] = replace(provided.tenant, status=Status.PROVISIONING)
        return replace(provided, tenant=machine.truth[REF])

    machine._provide = waiting  # type: ignore[method-assign]
    assert refused(machine, sent()) is errors.TENANT_PROVISIONING
    assert machine.trail.answer_headers == {"X-Tenant-Id": ACME.typeid, "X-Tenant-Created": "true"}


def test_the_admission_that_made_a_tenant_is_no_precedent():
    machine = walking()
    # Another request on this worker may have leased the new tenant meanwhile.
    machine.leased = lambda record: True  # type: ignore[method-assign]
    first = machine.decide(sent())
    assert isinstance(first, Admission)
    assert first.precedent is None
    machine.remember()
    second = machine.decide(sent())
    assert isinstance(second, Admission)
    assert second.precedent is not None


def test_a_decision_that_begins_anew_still_tells_that_its_request_made_the_tenant():
    machine = walking()
    admit, tries = machine._admit, []

    def once_changed(question):
        tries.append(question)
        return Changed() if len(tries) == 1 else admit(question)

    machine._admit = once_changed  # type: ignore[method-assign]
    assert isinstance(machine.decide(sent()), Admission)
    assert machine.trail.answer_headers == {"X-Tenant-Id": ACME.typeid, "X-Tenant-Created": "true"}
    assert len(machine.asked_for(Provide)) == 1
