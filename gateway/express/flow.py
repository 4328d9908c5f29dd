"""What the head of a request leads to, remembered by its digest: the exact-match cache of the walk.

Clients send the same head again and again. All that follows from it (which route, who calls, what is demanded, what goes on to
the upstream) is worked out by the walk the first times, and found at once afterwards. Nothing of the client's own is kept:
where its values go on to the upstream, the flow knows at which place of the head they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from operator import itemgetter

from gateway.decision import Admission
from gateway.edge.answer import field_lines
from gateway.edge.connection import ClientConnection
from gateway.edge.head import Head, value_spans
from gateway.edge.observe import Watch
from gateway.forward.exchange import Chooser, OutboundHead, framing
from gateway.forward.headers import IDENTITY, REQUEST_ID, TRACEPARENT
from gateway.forward.identity import REUSED
from gateway.ledger.place import Order
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Quota
from gateway.pipeline.fair import FairCache
from gateway.pipeline.limits import LIMIT_HEADERS, LimitTexts
from gateway.pipeline.precedent import Precedent
from gateway.pipeline.request import InboundRequest
from gateway.routing.match import Route
from gateway.transaction import Machine

# A tenant that uses more heads loses its own flows, never another's.
_OWN, _ALL = 1_000, 10_000
_LONGEST = 8 << 10
_OURS = frozenset(name.lower().encode("ascii") for name in ("X-Request-Id", *LIMIT_HEADERS))


@dataclass(slots=True, eq=False, kw_only=True)
class Flow(Head):
    """A head, without its fields, and what it leads to. `call` is that of its requests, without what came from the client.

    The head toward the upstream is `template` with what the client sent at the places that `passing` gets, the request's id,
    `between`, the identity token, and `end`; these three are in `rest`. `told` are headers of the answer that are always the
    same, `names` those of all that we set. `is_told`: the upstream tells how many units were used. `request_id` is that of a
    trusted proxy.
    """

    precedent: Precedent
    order: Order
    route: Route
    call: Call
    chooser: Chooser
    template: bytes
    passing: Callable[[bytes], tuple[bytes, ...]]
    between: bytes
    end: bytes
    told: bytes
    names: frozenset[bytes]
    limits: LimitTexts
    watch: Watch
    answer_headers: Mapping[str, str]
    is_told: bool
    request_id: str | None
    rest: bytes = b""
    signed: float = float("-inf")

    def opening(self, machine: Machine, block: bytes, now: float, request_id: str) -> bytes:
        """The head of the request toward the upstream. `block` is the head that was sent this time; `now` is in seconds since
        1970."""
        if not 0 <= now - self.signed < REUSED:
            self._sign(machine, now, request_id)
        return self.template % self.passing(block) + request_id.encode("ascii") + self.rest

    def _sign(self, machine: Machine, now: float, request_id: str) -> None:
        """Have a fresh identity token."""
        assert self.route.upstream is not None
        call = replace(self.call, request=replace(self.call.request, request_id=request_id))
        token, self.signed = machine.signer.signed(call, self.route.upstream, now)
        machine.last_used.note(call)
        self.rest = self.between + token.encode("ascii") + self.end


_Key = tuple[bytes, str, str]


class Flows:
    """Flows by a digest of the head, with where it came from: the peer's address, and the scheme."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._found = FairCache[_Key, Flow](_OWN, _ALL)
        self._get = self._found.get
        # Most heads never come again: to learn each would cost half as much as a walk, and push out those that are of use.
        self._once = FairCache[_Key, bool](_OWN, _ALL)

    def recall(self, connection: ClientConnection, block: bytes) -> Flow | None:
        """What is known of the head that `block` holds."""
        return self._get((blake2b(block, digest_size=32).digest(), connection.peer, connection.scheme))

    def learn(self, seen: Seen, precedent: Precedent, peer: str, scheme: str) -> None:
        """Remember what is `seen` for the second time, unless the next request with this head might be sent on otherwise."""
        customer = seen.admission.call.customer
        if not (0 < len(seen.block) <= _LONGEST and _is_plain(seen.head, seen.request)):
            return
        key = (blake2b(seen.block, digest_size=32).digest(), peer, scheme)
        owner = peer if customer is None else customer.tenant.id
        if self._get(key) is None and self._once.get(key) is None:
            self._once.put(owner, key, True)
            return
        self._once.forget(key)
        self._found.put(owner, key, _flow(self._machine, seen, precedent))


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that is on its way: `head` as it was read from `block`, its admission, what goes on to the upstream (`sent`),
    and `answer_headers`, ours for the answer, but for those of limits."""

    head: Head
    block: bytes
    admission: Admission
    sent: OutboundHead
    answer_headers: Mapping[str, str]

    @property
    def request(self) -> InboundRequest:
        return self.admission.call.request


def _is_plain(head: Head, request: InboundRequest) -> bool:
    is_whole = head.fault is None and head.length is not None and head.target == request.target
    return is_whole and head.current and head.persistent and not head.continues and head.method != "HEAD"


def _flow(machine: Machine, seen: Seen, precedent: Precedent) -> Flow:
    head, request, admission = seen.head, seen.request, seen.admission
    route, call = admission.route, admission.call
    assert route.upstream is not None
    bare = replace(request, target=request.path.encode("ascii"), fields=(), traceparent=None, forwarded_for=None)
    question = replace(precedent.question, call=replace(call, request=bare))
    given = [value.decode("latin-1") for name, value in request.fields if name == b"x-request-id"]
    limits = LimitTexts.of(() if route.x_ratelimit_headers else admission.standings)
    template, passing, between = _parts(head, seen.block, seen.sent)
    return Flow(
        method=head.method,
        target=b"",
        length=head.length,
        persistent=True,
        precedent=replace(precedent, question=question),
        order=replace(machine.ledger.order(precedent.question), question=question),
        route=route,
        call=replace(call, request=bare),
        chooser=machine.upstreams.chooser(route.upstream),
        template=template,
        passing=_getter(passing),
        between=between,
        end=b"\r\n" + framing(head.method, head.length or 0) + b"\r\n",
        told=field_lines([*seen.answer_headers.items(), *limits.headers]),
        limits=limits,
        names=_OURS | {name.lower().encode("ascii") for name in seen.answer_headers},
        answer_headers=dict(seen.answer_headers),
        is_told=any(isinstance(one, Quota) and one.told for one in question.demands),
        request_id=request.request_id if request.request_id in given else None,
        watch=machine.observer.watch(
            route=route.name,
            method=head.method,
            path=request.path,
            client_ip=request.client_ip,
            principal=call.principal,
            tenant=None if call.customer is None else call.customer.tenant,
            upstream=route.upstream,
        ),
    )


def _parts(head: Head, block: bytes, sent: OutboundHead) -> tuple[bytes, Sequence[slice], bytes]:
    """What goes on to the upstream up to the request's id, with a `%b` for each value that the client has sent; where in the
    `block` these stand; and what follows up to the identity token. A header that passes is the very one that was sent, and
    `traceparent` says what that says."""
    places = list(zip(head.fields, value_spans(block), strict=True))
    spans, trace = {id(field): span for field, span in places}, [span for field, span in places if field[0] == TRACEPARENT]
    start = len(head.method) + 1
    passing = [slice(start, start + len(head.target))]
    template, text = b"", b"%b %%b HTTP/1.1\r\n" % head.method.encode("ascii")
    for field in sent.headers:
        name, value = field
        if id(field) in spans:
            passing.append(spans[id(field)])
            text += name.replace(b"%", b"%%") + b": %b\r\n"
        elif name == TRACEPARENT:
            passing += trace
            text += name + b": %b\r\n"
        elif name == REQUEST_ID:
            template, text = text + b"X-Request-Id: ", b"\r\n"
        elif name == IDENTITY:
            return template, passing, text + IDENTITY + b": "
        else:
            line = name + b": " + value + b"\r\n"
            text += line if template else line.replace(b"%", b"%%")
    raise AssertionError("no identity goes to the upstream")


def _getter(spans: Sequence[slice]) -> Callable[[bytes], tuple[bytes, ...]]:
    """What stands at all these places."""
    if len(spans) == 1:
        return lambda block: (block[spans[0]],)
    return itemgetter(*spans)
