from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.decision import Admission
from gateway.errors import Refused
from gateway.pipeline.claim import Claim, Evidence
from gateway.pipeline.demand import Nonce
from gateway.pipeline.lookup import OwnerOfKey, TenantById, TenantByRef, TenantBySlug
from gateway.pipeline.policy import Phase
from gateway.pipeline.principal import Principal
from gateway.pipeline.question import Admit, FetchKeys, ReadBody, Resolve
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status
from tests import samples
from tests.pipeline.callers import (
    API_KEY,
    BOUND,
    BOUND_TEXT,
    JWT_BEARER,
    MATCH,
    NOW,
    PUBLIC,
    READER,
    ROOT,
    ROOT_TEXT,
    SIGNATURE,
    STATUS,
    bearer,
    jwt_bearer,
    refused,
    signed,
    stored,
    token,
    walk,
)
from tests.samples import ACME, GLOBEX


class TestCredentials:
    def test_of_two_kinds_are_ambiguous(self):
        machine = walk((JWT_BEARER, API_KEY, MATCH))
        assert refused(machine, bearer(**{"X-Api-Key": BOUND_TEXT})) is errors.AMBIGUOUS_CREDENTIALS
        assert machine.asked == []

    def test_are_ambiguous_also_where_the_second_kind_is_another_routes(self):
        machine = walk(others=(API_KEY, JWT_BEARER))
        assert refused(machine, bearer(**{"X-Api-Key": BOUND_TEXT})) is errors.AMBIGUOUS_CREDENTIALS

    def test_of_a_kind_that_the_route_does_not_take_are_named_as_such(self):
        machine = walk((SIGNATURE, MATCH), others=(API_KEY,))
        with pytest.raises(Refused) as raised:
            machine.decide(bearer(BOUND_TEXT))
        assert raised.value.problem is errors.CREDENTIAL_NOT_ACCEPTED
        assert raised.value.headers == (("WWW-Authenticate", SIGNATURE.challenge),)

    def test_that_are_missing_are_asked_for_in_every_kind_that_the_route_takes(self):
        with pytest.raises(Refused) as raised:
            walk((JWT_BEARER, SIGNATURE, MATCH)).decide(samples.request())
        assert raised.value.problem is errors.TOKEN_MISSING
        assert [name for name, _ in raised.value.headers] == ["WWW-Authenticate"] * 2

    def test_that_are_bad_are_refused_also_where_anybody_may_come_in(self):
        machine = walk((JWT_BEARER, PUBLIC))
        assert refused(machine, bearer("not.a.token")) is errors.TOKEN_MALFORMED
        assert isinstance(machine.decide(samples.request()), Admission)

    def test_of_an_unknown_tenant_are_a_clients_fault(self):
        assert refused(walk(), bearer(token("initech"), "initech")) is errors.TENANT_UNKNOWN

    def test_whose_keys_are_missing_wait_for_one_fetch(self):
        machine = walk((jwt_bearer(fetches=1), MATCH))
        assert isinstance(machine.decide(bearer()), Admission)
        assert machine.asked_for(FetchKeys) == [FetchKeys("main")]

    def test_whose_keys_cannot_be_had_are_an_outage_and_no_bad_token(self):
        machine = walk((jwt_bearer(fetches=9), MATCH))
        assert refused(machine, bearer()) is errors.KEYS_UNAVAILABLE
        assert len(machine.asked) == 1


class Overreaching:
    """A stranger's authenticator whose claim wants to act for a tenant, though its principal is no platform's."""

    phase, missing, challenge = Phase.AUTHENTICATE, errors.KEY_MISSING, "Overreaching"
    lookup, needs_body = TenantBySlug("globex"), False

    def presents(self, request: InboundRequest) -> bool:
        return True

    def authenticate(self, request: InboundRequest) -> Claim:
        return self

    def prove(self, evidence: Evidence) -> Principal:
        return Principal("api_key", "mallory", org="main", acts_for=TenantBySlug("acme"))


def test_only_a_platforms_credential_acts_for_a_tenant_whatever_its_claim_says():
    assert refused(walk((Overreaching(),)), samples.request()) is errors.TENANT_KEY_FORBIDDEN


SIGNED = (SIGNATURE, MATCH, STATUS)
SIGNERS = {TenantById(ACME.id): BOUND}


class TestASignature:
    def test_covers_the_body_which_is_read_before_the_store_is_asked(self):
        machine = walk(SIGNED, SIGNERS)
        machine.body = b"the body"
        assert isinstance(machine.decide(signed(b"the body")), Admission)
        assert [type(question) for question in machine.asked] == [ReadBody, Resolve, Admit]

    def test_is_accepted_once(self):
        machine = walk(SIGNED, SIGNERS)
        assert isinstance(machine.decide(signed()), Admission)
        assert refused(machine, signed()) is errors.REPLAYED_REQUEST
        assert isinstance(machine.decide(signed(nonce="another-nonce-16")), Admission)

    def test_that_is_wrong_burns_no_nonce(self):
        machine = walk(SIGNED, SIGNERS)
        machine.body = b"tampered"
        assert refused(machine, signed()) is errors.SIGNATURE_INVALID
        machine.body = b""
        assert isinstance(machine.decide(signed()), Admission)

    def test_of_a_suspended_tenant_burns_no_nonce(self):
        machine = walk(SIGNED, {TenantById(ACME.id): replace(BOUND, status=Status.SUSPENDED)})
        assert refused(machine, signed()) is errors.TENANT_SUSPENDED
        assert not [demand for demand in machine.taken if isinstance(demand, Nonce)]


KEYED = (API_KEY, MATCH, READER, STATUS)
HOLDERS = {
    OwnerOfKey(digest_of(ROOT_TEXT)): ROOT,
    OwnerOfKey(digest_of(BOUND_TEXT)): BOUND,
    TenantBySlug("acme"): ACME,
    TenantByRef("main", "cust_1"): replace(ACME, external_ref="cust_1"),
    TenantBySlug("foreign"): replace(GLOBEX, slug="foreign", org="other"),
}


class TestAPlatformKey:
    def key(self, **named: str):
        headers = {"X-Api-Key": ROOT_TEXT, **{name.replace("_", "-"): value for name, value in named.items()}}
        return samples.request(headers=headers, received_at=NOW)

    def test_acts_for_the_tenant_that_it_names(self):
        machine = walk(KEYED, HOLDERS)
        admission = machine.decide(self.key(X_Tenant="acme"))
        assert isinstance(admission, Admission)
        assert admission.call.customer is not None
        assert admission.call.customer.tenant == ACME
        (question,) = machine.asked_for(Admit)
        assert isinstance(question, Admit)
        assert question.basis == (ROOT, ACME)

    def test_that_names_no_tenant_is_asked_to(self):
        assert refused(walk(KEYED, HOLDERS), self.key()) is errors.TENANT_HEADER_MISSING

    def test_does_not_act_for_tenants_of_another_organization(self):
        assert refused(walk(KEYED, HOLDERS), self.key(X_Tenant="foreign")) is errors.TENANT_UNKNOWN

    def test_does_not_act_for_nobody(self):
        assert refused(walk(KEYED, HOLDERS), self.key(X_Tenant="initech")) is errors.TENANT_UNKNOWN

    def test_that_names_two_tenants_is_refused(self):
        truth = {**HOLDERS, TenantById(GLOBEX.id): GLOBEX}
        both = self.key(X_Tenant="acme", X_Tenant_Id=str(GLOBEX.id))
        assert refused(walk(KEYED, truth), both) is errors.TENANT_MISMATCH

    def test_is_told_the_id_of_the_tenant_that_it_names_by_reference(self):
        machine = walk(KEYED, HOLDERS)
        assert isinstance(machine.decide(self.key(X_Tenant_Ref="cust_1")), Admission)
        assert machine.trail.answer_headers["X-Tenant-Id"] == ACME.typeid

    @pytest.mark.parametrize("status", [Status.SUSPENDED, Status.ARCHIVED])
    def test_is_told_the_id_also_where_the_tenant_is_not_usable(self, status):
        truth = {**HOLDERS, TenantByRef("main", "cust_1"): replace(ACME, status=status)}
        machine = walk(KEYED, truth)
        assert refused(machine, self.key(X_Tenant_Ref="cust_1")) is errors.TENANT_NOT_USABLE
        assert machine.trail.answer_headers["X-Tenant-Id"] == ACME.typeid

    def test_of_a_tenant_names_nobody_by_reference(self):
        request = samples.request(headers={"X-Api-Key": BOUND_TEXT, "X-Tenant-Ref": "cust_1"}, received_at=NOW)
        assert refused(walk(KEYED, HOLDERS), request) is errors.TENANT_KEY_FORBIDDEN

    def test_revoked_while_its_organization_was_remembered_is_refused(self):
        machine = walk(KEYED, HOLDERS)
        machine.remember()
        machine.truth[OwnerOfKey(digest_of(ROOT_TEXT))] = replace(ROOT, version=2, keys=(stored(ROOT_TEXT, revoked_at=1.0),))
        assert refused(machine, self.key(X_Tenant="acme")) is errors.KEY_REVOKED
