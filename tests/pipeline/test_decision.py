from __future__ import annotations

from dataclasses import replace

from gateway import errors
from gateway.decision import Admission
from gateway.pipeline.demand import Quota, Rate
from gateway.pipeline.lookup import OwnerOfKey, TenantById, TenantBySlug
from gateway.pipeline.principal import ANONYMOUS
from gateway.pipeline.question import Admit, Resolve
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status
from tests import samples
from tests.pipeline.callers import (
    API_KEY,
    BOUND,
    BOUND_TEXT,
    JWT_BEARER,
    MATCH,
    PUBLIC,
    SIGNATURE,
    STATUS,
    SUSPENDED,
    bearer,
    refused,
    signed,
    stored,
    token,
    walk,
)
from tests.samples import ACME, GLOBEX


class TestAnAdmission:
    def test_names_the_call_and_what_was_taken(self):
        machine = walk()
        admission = machine.decide(bearer())
        assert isinstance(admission, Admission)
        assert admission.call.customer is not None
        assert admission.call.customer.tenant == ACME
        assert admission.call.principal.subject == "alice"
        assert [type(standing.demand) for standing in admission.standings] == [Rate, Quota]
        assert admission.charge is not None

    def test_costs_one_question_once_the_tenant_is_known(self):
        machine = walk()
        machine.remember()
        machine.decide(bearer())
        (question,) = machine.asked
        assert isinstance(question, Admit)
        assert question.basis == (ACME,)

    def test_is_checked_with_the_store_even_where_nothing_is_metered(self):
        machine = walk((JWT_BEARER, MATCH, STATUS))
        machine.remember()
        machine.truth[TenantBySlug("acme")] = SUSPENDED
        assert refused(machine, bearer()) is errors.TENANT_SUSPENDED

    def test_without_limits_under_a_leased_record_asks_nothing(self):
        machine = walk((JWT_BEARER, MATCH, STATUS))
        machine.remember()
        machine.leases = [ACME]
        assert isinstance(machine.decide(bearer()), Admission)
        assert machine.asked == []

    def test_with_limits_under_a_leased_record_asks_once(self):
        machine = walk()
        machine.remember()
        machine.leases = [ACME]
        machine.decide(bearer())
        assert [type(question) for question in machine.asked] == [Admit]

    def test_of_an_anonymous_caller_on_an_unmetered_route_asks_nothing(self):
        machine = walk((PUBLIC,))
        admission = machine.decide(samples.request())
        assert isinstance(admission, Admission)
        assert admission.call.principal is ANONYMOUS
        assert admission.call.customer is None
        assert machine.asked == []

    def test_leaves_on_its_trail_who_it_was(self):
        machine = walk()
        machine.decide(bearer())
        assert machine.trail.route is not None
        assert machine.trail.route.name == "things"
        assert machine.trail.principal is not None
        assert machine.trail.principal.method == "jwt"
        assert machine.trail.tenant == ACME


class TestARefusal:
    def test_for_its_state_meets_a_suspended_tenant(self):
        assert refused(walk(truth={TenantBySlug("acme"): SUSPENDED}), bearer()) is errors.TENANT_SUSPENDED

    def test_takes_nothing(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        refused(machine, bearer())
        assert machine.asked_for(Admit) == []
        assert not machine.taken

    def test_by_one_limit_takes_nothing_from_the_others(self):
        machine = walk()
        machine.decide(bearer())
        machine.decide(bearer())
        before = machine.taken.copy()
        assert refused(machine, bearer()) is errors.RATE_LIMITED
        assert machine.taken == before

    def test_leaves_on_its_trail_who_it_was(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        refused(machine, bearer())
        assert machine.trail.tenant == SUSPENDED
        assert machine.trail.principal is not None

    def test_of_a_tenant_whose_plan_is_not_configured_is_an_outage_of_ours(self):
        machine = walk(truth={TenantBySlug("acme"): replace(ACME, plan="gone")})
        assert refused(machine, bearer()) is errors.PLAN_UNKNOWN

    def test_of_a_tenant_whose_organization_is_not_configured_is_an_outage_of_ours(self):
        machine = walk(truth={TenantBySlug("acme"): replace(ACME, org="gone")})
        assert refused(machine, bearer()) is errors.PLAN_UNKNOWN

    def test_under_a_leased_record_is_not_looked_up_again(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        machine.remember()
        machine.leases = [SUSPENDED]
        assert refused(machine, bearer()) is errors.TENANT_SUSPENDED
        assert machine.asked == []


class TestTheOrderOfChecks:
    """Each request below has every fault from some step on; the first of them answers."""

    def faults(self, **credential):
        exhausted = {"requests": 0}
        truth = {TenantBySlug("acme"): replace(SUSPENDED, caps=exhausted)}
        return refused(walk(truth=truth), bearer(**credential))

    def test_a_bad_token_comes_before_everything(self):
        assert self.faults(text="not.a.token", tenant="globex") is errors.TOKEN_MALFORMED

    def test_then_the_tenants_name(self):
        assert self.faults(text=token(scope=""), tenant="globex") is errors.TENANT_MISMATCH

    def test_then_the_scopes(self):
        assert self.faults(text=token(scope="")) is errors.INSUFFICIENT_SCOPE

    def test_then_the_tenants_state(self):
        assert self.faults() is errors.TENANT_SUSPENDED

    def test_then_the_limits(self):
        machine = walk(truth={TenantBySlug("acme"): replace(ACME, caps={"requests": 0})})
        assert refused(machine, bearer()) is errors.TENANT_QUOTA_EXCEEDED

    def test_authenticity_comes_before_state(self):
        machine = walk((SIGNATURE, MATCH, STATUS), {TenantById(ACME.id): replace(BOUND, status=Status.SUSPENDED)})
        machine.body = b"another body"
        assert refused(machine, signed(b"the body")) is errors.SIGNATURE_INVALID
        machine.body = b"the body"
        assert refused(machine, signed(b"the body")) is errors.TENANT_SUSPENDED


class TestARememberedRecord:
    def test_that_let_pass_does_not_outlive_a_suspension(self):
        machine = walk()
        machine.remember()
        machine.truth[TenantBySlug("acme")] = SUSPENDED
        assert refused(machine, bearer()) is errors.TENANT_SUSPENDED
        assert not machine.taken

    def test_that_refuses_is_looked_up_again_so_that_a_reactivated_tenant_is_served(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        machine.remember()
        machine.truth[TenantBySlug("acme")] = replace(ACME, version=3)
        assert isinstance(machine.decide(bearer()), Admission)

    def test_that_refuses_rightly_is_looked_up_once(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        machine.remember()
        assert refused(machine, bearer()) is errors.TENANT_SUSPENDED
        assert len(machine.asked_for(Resolve)) == 1

    def test_that_came_from_the_store_just_now_is_not_looked_up_again(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        refused(machine, bearer())
        assert len(machine.asked_for(Resolve)) == 1

    def test_that_refuses_for_another_reason_than_the_new_one_is_looked_up_once_too(self):
        machine = walk(truth={TenantBySlug("acme"): SUSPENDED})
        machine.remember()
        machine.truth[TenantBySlug("acme")] = replace(ACME, status=Status.ARCHIVED, version=3)
        assert refused(machine, bearer()) is errors.TENANT_ARCHIVED
        assert len(machine.asked_for(Resolve)) == 1

    def test_of_a_tenant_that_is_gone_is_not_believed(self):
        machine = walk()
        machine.remember()
        del machine.truth[TenantBySlug("acme")]
        assert refused(machine, bearer()) is errors.TENANT_UNKNOWN

    def test_without_a_new_key_does_not_refuse_it(self):
        machine = walk((API_KEY, MATCH, STATUS), {OwnerOfKey(digest_of(BOUND_TEXT)): ACME})
        machine.remember()
        machine.truth = {OwnerOfKey(digest_of(BOUND_TEXT)): replace(BOUND, version=2)}
        assert isinstance(machine.decide(bearer(BOUND_TEXT)), Admission)

    def test_with_a_key_that_is_revoked_meanwhile_does_not_admit_it(self):
        machine = walk((API_KEY, MATCH, STATUS), {OwnerOfKey(digest_of(BOUND_TEXT)): BOUND})
        machine.remember()
        revoked = replace(BOUND, version=2, keys=(stored(BOUND_TEXT, revoked_at=1.0),))
        machine.truth = {OwnerOfKey(digest_of(BOUND_TEXT)): revoked}
        assert refused(machine, bearer(BOUND_TEXT)) is errors.KEY_REVOKED

    def test_changed_while_the_store_was_asked_is_decided_upon_again_with_its_new_limits(self):
        machine = walk()
        machine.remember()
        raised = replace(ACME, version=2, caps={"requests": 99})
        machine.truth[TenantBySlug("acme")] = raised
        admission = machine.decide(bearer())
        assert isinstance(admission, Admission)
        assert [demand.cap for demand in machine.taken if isinstance(demand, Quota)] == [99]
        assert len(machine.asked_for(Admit)) == 2

    def test_that_never_stops_changing_ends_in_a_503_and_takes_nothing(self):
        machine = walk()

        def change() -> None:
            tenant = machine.truth[TenantBySlug("acme")]
            machine.truth[TenantBySlug("acme")] = replace(tenant, version=tenant.version + 1)

        machine.before_admit = change
        assert refused(machine, bearer()) is errors.STORE_UNAVAILABLE
        assert not machine.taken
        assert len(machine.asked_for(Admit)) <= 5


def test_a_decider_keeps_nothing_between_requests():
    machine = walk()
    machine.decide(bearer())
    machine.decide(bearer(token("globex"), "globex"))
    assert machine.trail.tenant == GLOBEX
