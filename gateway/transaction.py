"""One request on its way through the gateway, whoever moves its bytes: what is decided, counted, settled and told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gateway.api.mount import Builtin
from gateway.clock import Clock
from gateway.decision import Admission, Ask, Decider, Reply
from gateway.edge.observe import Observer
from gateway.edge.request import RequestReader
from gateway.errors import Refused
from gateway.forward.exchange import NotSent, OutboundHead, Timings, UpstreamAborted
from gateway.forward.headers import outbound
from gateway.forward.identity import IdentitySigner
from gateway.forward.pool import Upstreams
from gateway.forward.response_head import ResponseHead
from gateway.identity.keysets import KeySets
from gateway.ledger.ledger import Effect, Ledger, Outcome
from gateway.ledger.outage import Outage
from gateway.ledger.receipt import Receipt
from gateway.pipeline.limits import limit_headers, overruns
from gateway.pipeline.question import Admit, Answer, Denied, FetchKeys, Provide, Question, Resolve
from gateway.pipeline.request import InboundRequest
from gateway.registry.last_used import LastUsed
from gateway.registry.provisioning import Provisioning
from gateway.registry.records import Records

Decided = Admission | Reply | Ask


@dataclass(frozen=True)
class Machine:
    """What requests are carried with. Built once, in the composition root. `builtins`, by the names of their routes."""

    reader: RequestReader
    decider: Decider
    keysets: KeySets
    records: Records
    provisioning: Provisioning
    ledger: Ledger
    last_used: LastUsed
    outage: Outage
    upstreams: Upstreams
    signer: IdentitySigner
    builtins: Mapping[str, Builtin]
    observer: Observer
    clock: Clock
    body_idle: float
    denied: Callable[[Admit, Denied], None] = lambda question, verdict: None
    """Told of what limits have refused."""

    async def look_up(self, question: Question) -> Answer:
        """What no request can answer itself. Raises Refused."""
        match question:
            case Admit():
                verdict = await self.outage.admit(question)
                if isinstance(verdict, Denied):
                    self.denied(question, verdict)
                return verdict
            case Resolve(lookup, stale_for):
                return await self.records.resolve(lookup, stale_for)
            case Provide():
                return await self.provisioning.provide(question)
            case FetchKeys(issuer):
                await self.keysets.refresh(issuer)
                return None
            case _:
                raise AssertionError(f"{question} is for whoever has the request's body")


class Transaction:
    """`decide`, then `admit` with what was decided, then `outbound` and `responded`; or `fail` at any point. At the end
    `settle` and `observe`, always, whatever happened."""

    def __init__(self, machine: Machine, request_id: str, method: str, peer: str) -> None:
        self.machine = machine
        self.request_id = request_id
        self.sighting = machine.observer.begin(request_id, method, peer)
        self.admission: Admission | None = None

    @property
    def answer_headers(self) -> dict[str, str]:
        """Ours, for the answer."""
        return self.sighting.trail.answer_headers

    @property
    def upstream(self) -> str:
        """The name of the one that answers the admitted request."""
        assert self.admission is not None
        assert self.admission.route.upstream is not None
        return self.admission.route.upstream

    def decide(self, request: InboundRequest) -> Decided:
        """Raises Refused, as the answers to an Ask do."""
        self.sighting.request = request
        return self.machine.decider.decide(request, self.sighting.trail)

    def admit(self, admission: Admission) -> None:
        self.admission = admission
        self.machine.last_used.note(admission.call)
        self.answer_headers.update(limit_headers(admission.standings, older=admission.route.x_ratelimit_headers))

    def take_over(self, admission: Admission, answer_headers: Mapping[str, str], started: float) -> None:
        """The request was admitted without having been decided anew, and its upstream asked. `started`: when it came, on the
        monotonic clock; `answer_headers` are ours for the answer, but for those of limits."""
        sighting, call = self.sighting, admission.call
        sighting.started, sighting.request, sighting.upstream_asked = started, call.request, True
        trail = sighting.trail
        trail.route, trail.principal = admission.route, call.principal
        trail.tenant = None if call.customer is None else call.customer.tenant
        trail.answer_headers.update(answer_headers)
        self.admit(admission)

    def outbound(self, length: int | None = None) -> OutboundHead:
        """The head toward the upstream, which is about to be asked; `length` is that of a streamed body, where it is known."""
        assert self.admission is not None
        call, route = self.admission.call, self.admission.route
        self.sighting.upstream_asked = True
        identity = self.machine.signer.token(call, self.upstream, call.request.received_at)
        fields = outbound(call, route.chain, identity, keep_authorization=route.keep_authorization)
        return OutboundHead(call.request.method, call.request.target, fields, length)

    def responded(self, head: ResponseHead, timings: Timings) -> Receipt | None:
        """The upstream has answered. What the end of the client's answer has to wait for, if anything. Raises Refused."""
        sighting = self.sighting
        sighting.upstream_status, sighting.usage_units, sighting.timings = head.status, head.usage_units, timings
        return self.count(head.usage_units) if head.status < 500 else None

    def count(self, told: int | None = None) -> Receipt | None:
        """The request is being served: its units are counted from now on. Raises Refused."""
        assert self.admission is not None
        return self.machine.ledger.count(self.admission.charge, told)

    def fail(self, error: Refused | UpstreamAborted) -> Refused | None:
        """Note why the request fails. The refusal that the client is to be given; None where its answer broke off."""
        sighting = self.sighting
        if isinstance(error, UpstreamAborted):
            sighting.aborted = True
            return None
        sighting.not_sent = sighting.not_sent or isinstance(error, NotSent)
        sighting.refused = error
        challenged = any(name == "WWW-Authenticate" for name, _ in error.headers)
        if error.problem.status == 401 and sighting.trail.route is not None and not challenged:
            return replace(error, headers=(*error.headers, *sighting.trail.route.chain.challenges()))
        return error

    def settle(self, outcome: Outcome) -> None:
        """What the upstream failed is given back; what it served is counted, also when the client did not stay for it."""
        admission, sighting = self.admission, self.sighting
        if admission is None:
            return
        if outcome is not Outcome.REFUND:
            sighting.overruns = overruns(admission.standings, sighting.usage_units)
        effect = Effect.NOTHING if sighting.not_sent or not sighting.upstream_asked else effect_of(sighting.upstream_status)
        self.machine.ledger.settle_soon(admission.charge, outcome, sighting.usage_units, effect)

    def observe(self, status: int, received: int, sent: int) -> None:
        """`status` is what the client was answered, 0 where nothing was; `received` and `sent` are bytes of the bodies."""
        sighting = self.sighting
        sighting.status, sighting.received, sighting.sent = status, received, sent
        self.machine.observer.observe(sighting)


def effect_of(status: int | None) -> Effect:
    """What a request has done at the upstream that answered so, None where it was asked and did not. A 5xx says that something
    went wrong there, not how far it got."""
    if status is None or status >= 500 or 300 <= status < 400:
        return Effect.UNKNOWN
    return Effect.DONE if status < 300 else Effect.NOTHING
