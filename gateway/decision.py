"""The decision about a request: one straight line from route to admission.

`Decider.decide` is a plain function. It returns an Admission (or the Reply to a CORS preflight), raises Refused, or returns an
Ask: what the store, an issuer or the request's body must answer first. Nothing here knows sockets; whoever carries the request
gets the answer and calls `Ask.answer`. Where everything is known locally, the decision is made in that one call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.errors import (
    CREDENTIALS_MISSING,
    PLAN_UNKNOWN,
    STORE_UNAVAILABLE,
    TENANT_KEY_FORBIDDEN,
    TENANT_MISMATCH,
    TENANT_NOT_USABLE,
    TENANT_UNKNOWN,
    Problem,
    Refused,
)
from gateway.pipeline.asked import claimed, whole_body
from gateway.pipeline.call import Call, Customer
from gateway.pipeline.chain import Chain
from gateway.pipeline.demand import Standing
from gateway.pipeline.limits import refusal, shadowed
from gateway.pipeline.lookup import OrgByName, Record, TenantByRef
from gateway.pipeline.memo import IdentityMemo
from gateway.pipeline.precedent import Precedent
from gateway.pipeline.principal import ANONYMOUS, Principal
from gateway.pipeline.question import (
    Admit,
    Answer,
    Changed,
    Denied,
    Granted,
    Provide,
    Provided,
    Question,
    WholeBody,
)
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.sight import Records, Sight, resolved
from gateway.pipeline.verified import Credential, Verified
from gateway.routing.match import Route, Router
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Status, Tenant

# A record that changes this often during one request is being fought over; more rounds would only hide that.
_ROUNDS = 4
_CREATED = "X-Tenant-Created"


Take = Callable[[Admit], Granted | None]
"""Admit by what is held here already; None where the store has to be asked."""


@dataclass
class Trail:
    """What became known of a request on its way: for its log line, its metrics and the headers of its answer.

    It is filled as the walk goes on, so that a refusal can be told about as well as an admission. `shadowed`: with what
    policies in shadow would have refused a request that was admitted, each once.
    """

    route: Route | None = None
    principal: Principal | None = None
    tenant: Tenant | None = None
    shadowed: tuple[Problem, ...] = ()
    answer_headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """The request may go on. It must be settled exactly once, whatever happens to it. `precedent` is None where the next one
    with the same head has to be decided anew."""

    route: Route
    call: Call
    standings: Sequence[Standing] = ()
    charge: object = None
    precedent: Precedent | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the gateway gives itself, with no body."""

    status: int
    headers: Mapping[str, str]


Walk = Generator[Question, Answer, Admission | Reply]


@dataclass(frozen=True, slots=True)
class Ask:
    """The decision waits for the answer to `question`; `answer` goes on with it. Both raise Refused as `decide` does."""

    question: Question
    walk: Walk

    def answer(self, answer: Answer) -> Admission | Reply | Ask:
        return _advance(self.walk, answer)


def _advance(walk: Walk, answer: Answer) -> Admission | Reply | Ask:
    try:
        return Ask(walk.send(answer), walk)
    except StopIteration as end:
        decided: Admission | Reply = end.value
        return decided


class Decider:
    """Immutable; a new configuration is a new Decider."""

    def __init__(
        self, router: Router, records: Records, take: Take, plans: Mapping[str, Plan], orgs: Mapping[str, Organization]
    ) -> None:
        self._router = router
        self._records = records
        self._take = take
        self._plans = plans
        self._orgs = orgs
        self._verified = Verified()
        self._customers = IdentityMemo[Customer]()

    def decide(self, request: InboundRequest, trail: Trail) -> Admission | Reply | Ask:
        return _advance(self._walk(request, trail), None)

    def _walk(self, request: InboundRequest, trail: Trail) -> Walk:
        route = trail.route = self._router.match(request)
        sight = Sight(self._records, route.stale_for)
        if route.white_label:
            yield from sight.hosted(request)
        if route.chain.cross_origin is not None and _is_preflight(request):
            return (yield from _preflight(route, request))
        credential = yield from self._credential(route.chain, request)
        is_known = credential is None or credential.reusable is None or credential.proven is not None
        needs_body = credential is not None and credential.claim.needs_body
        body = (yield from whole_body(route.max_body)) if needs_body else None
        for _ in range(_ROUNDS):
            noted: list[Problem] = []
            try:
                call = yield from self._identify(route, request, credential, body, sight, trail)
                route.chain.check_right(call, noted)
                if call.awaits is not None:
                    # A key that has been revoked by now must not make tenants.
                    if not (yield from sight.renewed()):
                        sight.learn(call.awaits, (yield from _provided(call, call.awaits, trail)))
                    continue
                _check_usable(call)
                route.chain.check_tenant(call, noted)
                if route.chain.reads_body:
                    body = body or (yield from whole_body(route.max_body))
                    call = replace(call, body=body.content)
                    route.chain.check_body(call, noted)
                demands = route.chain.demands(call, noted)
            except Refused:
                # It may have been refused under a record that is no longer true, unless that is leased.
                if (yield from sight.renewed()):
                    continue
                raise
            fixed = route.chain.demands_by_caller and call.principal.nonce is None
            question = Admit(call, sight.basis, demands, route.stale_for, fixed)
            taken = self._take(question)
            verdict = taken or (yield question)
            if isinstance(verdict, Granted):
                trail.shadowed = tuple(dict.fromkeys([*noted, *shadowed(verdict.standings)]))
                may_recur = taken and is_known and _CREATED not in trail.answer_headers
                precedent = Precedent.of(route.chain, question, credential) if may_recur else None
                return Admission(route, call, verdict.standings, verdict.charge, precedent)
            if isinstance(verdict, Denied):
                raise refusal(verdict.standings, older=route.x_ratelimit_headers)
            assert isinstance(verdict, Changed)
            sight = Sight(self._records, route.stale_for)
        raise Refused(STORE_UNAVAILABLE, "The tenant's record kept changing during the request.", retry_after=1)

    def _credential(self, chain: Chain, request: InboundRequest) -> Generator[Question, Answer, Credential | None]:
        authenticator = chain.authenticator(request)
        if authenticator is None:
            return None
        reusable = chain.reusable.get(authenticator)
        proven = None if reusable is None else self._verified.find(reusable, request)
        if proven is not None:
            return Credential(proven.claim, authenticator, reusable, proven)
        return Credential((yield from claimed(authenticator, request)), authenticator, reusable)

    def _identify(
        self,
        route: Route,
        request: InboundRequest,
        credential: Credential | None,
        body: WholeBody | None,
        sight: Sight,
        trail: Trail,
    ) -> Generator[Question, Answer, Call]:
        host_of = (yield from sight.hosted(request)) if route.white_label else None
        if credential is None:
            record: Record | None = host_of
            principal = trail.principal = route.chain.anonymous or ANONYMOUS
        else:
            record = yield from sight.find(credential.claim.lookup)
            digest = None if body is None else body.sha256
            principal = trail.principal = credential.prove(record, digest, self._verified, request)
        if principal.acts_for is not None:
            record = yield from sight.find(principal.acts_for)
            _check_acting(principal, record, trail)
        if host_of is not None and (record is None or record.id != host_of.id):
            raise Refused(TENANT_MISMATCH, "The host is another tenant's.")
        customer = None
        if isinstance(record, Tenant):
            trail.tenant = record
            customer = self._customers(lambda: self._customer(record), record)
            if route.chain.sees_organization:
                customer = self._full_customer(customer, (yield from sight.find(OrgByName(record.org))))
        call = Call(request, route.name, route.upstream, principal, customer)
        if route.chain.cross_origin is not None:
            trail.answer_headers.update(route.chain.cross_origin.expose(call))
        return call

    def _customer(self, tenant: Tenant) -> Customer:
        plan, org = self._plans.get(tenant.plan), self._orgs.get(tenant.org)
        if plan is None:
            raise Refused(PLAN_UNKNOWN, f"No plan named {tenant.plan!r} is configured.", retry_after=60)
        if org is None:
            raise Refused(PLAN_UNKNOWN, f"No organization named {tenant.org!r} is configured.", retry_after=60)
        return Customer(tenant, plan, org)

    def _full_customer(self, customer: Customer, org: Record | None) -> Customer:
        """With the organization's record, as it is stored."""
        assert isinstance(org, Organization), "it is configured"
        return self._customers(lambda: replace(customer, org=org), customer, org)


def _check_acting(principal: Principal, record: Record | None, trail: Trail) -> None:
    """May this root key act for this tenant? The tenant's own state is checked later. One that is named by reference may be
    still to be made."""
    if not principal.root:
        raise Refused(TENANT_KEY_FORBIDDEN)
    by_ref = isinstance(principal.acts_for, TenantByRef)
    if record is None and by_ref:
        return
    if not isinstance(record, Tenant) or record.org != principal.org:
        raise Refused(TENANT_UNKNOWN)
    if by_ref:
        trail.answer_headers["X-Tenant-Id"] = record.typeid


def _check_usable(call: Call) -> None:
    """A reference is never served for a tenant that is suspended or archived, whatever the route lets pass."""
    if call.customer is not None and isinstance(call.principal.acts_for, TenantByRef):
        status = call.customer.tenant.status
        if status in (Status.SUSPENDED, Status.ARCHIVED):
            raise Refused(TENANT_NOT_USABLE, f"The tenant is {status}.")


def _provided(call: Call, ref: TenantByRef, trail: Trail) -> Generator[Question, Answer, Tenant]:
    provided = yield Provide(ref, call.principal.credential_id or call.principal.subject, call.request.request_id)
    assert isinstance(provided, Provided)
    if provided.created:
        trail.answer_headers[_CREATED] = "true"
    return provided.tenant


def _is_preflight(request: InboundRequest) -> bool:
    return request.method == "OPTIONS" and request.header("access-control-request-method") is not None


def _preflight(route: Route, request: InboundRequest) -> Walk:
    cross_origin = route.chain.cross_origin
    if cross_origin is None:
        raise Refused(CREDENTIALS_MISSING)
    record = yield from resolved(cross_origin.preflight(request))
    return Reply(204, cross_origin.allow(request, record))
