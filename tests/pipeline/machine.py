"""A whole decision without a network: real policies, and an answerer of questions that keeps its state in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from gateway.decision import Admission, Ask, Decider, Reply, Trail
from gateway.pipeline.chain import Chain
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from gateway.pipeline.lookup import Lookup, Record
from gateway.pipeline.policy import Authenticator, Policy
from gateway.pipeline.question import (
    SMALL_BODY,
    Admit,
    Answer,
    Changed,
    Denied,
    FetchKeys,
    Granted,
    Provide,
    Provided,
    Question,
    ReadBody,
    Resolve,
    WholeBody,
)
from gateway.pipeline.request import InboundRequest
from gateway.routing.match import Route, Router
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant
from tests.samples import ACME, MAIN, PRO


class Machine:
    """`truth` is what the store holds, `remembered` what this worker has seen of it, `leases` what it may trust of that.

    `asked` are the questions so far.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        truth: Mapping[Lookup, Record],
        *,
        others: Iterable[Authenticator] = (),
        plan: Plan = PRO,
        white_label: bool = False,
    ) -> None:
        route = Route("things", "/things", Chain.of(policies, others), upstream="upstream", white_label=white_label)
        self.truth = dict(truth)
        self.remembered: dict[Lookup, Record] = {}
        self.leases: list[Record] = []
        self.asked: list[Question] = []
        self.taken: Counter[Demand] = Counter()
        self.body = b""
        self.before_admit: Callable[[], None] = lambda: None
        self.trail = Trail()
        self._decider = Decider(Router([route]), self, self._take, {plan.name: plan}, {MAIN.id: MAIN})

    def peek(self, lookup: Lookup) -> Record | None:
        return self.remembered.get(lookup)

    def leased(self, record: Record) -> bool:
        return record in self.leases

    def _take(self, question: Admit) -> Granted | None:
        if question.demands or not all(map(self.leased, question.basis)):
            return None
        return Granted((), None)

    def remember(self) -> None:
        self.remembered = dict(self.truth)

    def decide(self, request: InboundRequest) -> Admission | Reply:
        self.trail = Trail()
        decided = self._decider.decide(request, self.trail)
        while isinstance(decided, Ask):
            self.asked.append(decided.question)
            decided = decided.answer(self._answer(decided.question))
        return decided

    def asked_for(self, kind: type[Question]) -> list[Question]:
        return [question for question in self.asked if isinstance(question, kind)]

    def _answer(self, question: Question) -> Answer:
        match question:
            case Resolve(lookup):
                return self._resolve(lookup)
            case ReadBody():
                return WholeBody(sha256(self.body).hexdigest(), self.body if len(self.body) <= SMALL_BODY else None)
            case FetchKeys():
                return None
            case Provide():
                return self._provide(question)
            case Admit():
                self.before_admit()
                return self._admit(question)

    def _resolve(self, lookup: Lookup) -> Record | None:
        record = self.truth.get(lookup)
        if record is None:
            self.remembered.pop(lookup, None)
        else:
            self.remembered[lookup] = record
        return record

    def _provide(self, question: Provide) -> Provided:
        made = replace(ACME, external_ref=question.ref.ref, slug=question.ref.ref, org=question.ref.org)
        created = question.ref not in self.truth
        tenant = self.truth.setdefault(question.ref, made)
        assert isinstance(tenant, Tenant)
        return Provided(tenant, created)

    def _admit(self, question: Admit) -> Granted | Denied | Changed:
        if any(record not in self.truth.values() for record in question.basis):
            self.remembered.clear()
            return Changed()
        standings = [self._standing(demand) for demand in question.demands]
        if not all(standing.admitted or in_shadow(standing.demand) for standing in standings):
            return Denied(standings)
        self.taken.update(question.demands)
        return Granted(standings, charge=len(self.asked))

    def _standing(self, demand: Demand) -> Standing:
        used = self.taken[demand]
        match demand:
            case Nonce():
                return Standing(demand, used == 0)
            case Release() | Reserve(cap=None):
                return Standing(demand, True)
            case Reserve(cap=int(cap)):
                left = cap - used
            case Rate(limit=limit):
                left = limit.burst - used
            case Slot(limit=places):
                left = places - used
            case Quota(cap=cap, org_cap=org_cap, units=units):
                bounds = [bound for bound in (cap, org_cap) if bound is not None]
                if not bounds:
                    return Standing(demand, True)
                left = min(bounds) - used * units
        return Standing(demand, left > 0, remaining=max(left - 1, 0), reset=60.0, wait=0.0 if left > 0 else 7.2)
