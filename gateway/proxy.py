"""The walk, as an ASGI application: from a request to its answer, in one straight line.

edge      bytes -> InboundRequest                          RequestReader.read
decide    route, policies, ledger -> Admission or Refused  Decider.decide, and what it asks for
forward   stamp, sign, send, stream both ways              _forward, _tunnel
settle    always, also on disconnect and on cancellation   _fulfil
observe   one log line, the metrics                        Observer.observe
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from starlette.types import Receive, Scope, Send

from gateway.api.billing import Builtin
from gateway.decision import Admission, Ask, Decider, Reply, Trail
from gateway.edge.answer import Answer
from gateway.edge.body import Body, ClientGone, cancelled_when_gone
from gateway.edge.hygiene import check_framing
from gateway.edge.observe import Observer, Sighting
from gateway.edge.request import RequestReader, told
from gateway.errors import INTERNAL_ERROR, SHUTTING_DOWN, Refused
from gateway.forward.headers import inbound, outbound, usage_units
from gateway.forward.identity import IdentitySigner
from gateway.forward.pool import NotSent, OutboundHead, UpstreamAborted, Upstreams
from gateway.forward.stream import UpstreamResponse
from gateway.forward.websocket import tunnel
from gateway.identity.keysets import KeySets
from gateway.ledger.ledger import Effect, Ledger, Outcome
from gateway.ledger.outage import Outage
from gateway.ledger.settlement import Receipt
from gateway.pipeline.limits import limit_headers, overruns
from gateway.pipeline.question import Admit, FetchKeys, Question, ReadBody, Resolve
from gateway.pipeline.question import Answer as Answered
from gateway.pipeline.request import InboundRequest
from gateway.registry.records import Records

_log = logging.getLogger("tenantgate.proxy")


@dataclass(frozen=True)
class Machine:
    """What the walk works with. Built once, in the composition root."""

    reader: RequestReader
    decider: Decider
    keysets: KeySets
    records: Records
    ledger: Ledger
    outage: Outage
    upstreams: Upstreams
    signer: IdentitySigner
    builtins: Mapping[str, Builtin]
    observer: Observer
    body_idle: float


class Proxy:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3, for the scope types `http` and `websocket`."""
        machine = self._machine
        answer = Answer(scope, send, machine.reader.request_id(scope))
        sighting = machine.observer.begin()
        try:
            await self._walk(scope, receive, send, answer, sighting)
        except Refused as refused:
            sighting.refused = refused
            await _refuse(scope, answer, refused, sighting.trail)
        except ClientGone:
            sighting.client_gone = True
        except UpstreamAborted:
            sighting.aborted = True
            _abort(scope)
        except asyncio.CancelledError:
            # The server has waited for its requests in flight as long as it may. They end here, with an answer of ours.
            sighting.refused = Refused(SHUTTING_DOWN)
            await _refuse(scope, answer, sighting.refused, sighting.trail)
        except Exception:
            _log.exception("request failed", extra={"request_id": answer.request_id})
            sighting.refused = Refused(INTERNAL_ERROR)
            await _refuse(scope, answer, sighting.refused, sighting.trail)
        finally:
            if answer.request_body is not None:
                answer.request_body.close()
            machine.observer.observe(scope, answer, sighting)

    async def _walk(self, scope: Scope, receive: Receive, send: Send, answer: Answer, sighting: Sighting) -> None:
        request = sighting.request = self._machine.reader.read(scope, answer.request_id)
        length = 0 if request.websocket else check_framing(request.fields)
        body = answer.request_body = Body(receive, length, self._machine.body_idle)
        decided = await self._decide(request, body, sighting.trail)
        if isinstance(decided, Reply):
            await answer.start(decided.status, [], decided.headers)
            await answer.body(b"", more=False)
            return
        await self._fulfil(decided, scope, receive, send, answer, body, sighting)

    async def _decide(self, request: InboundRequest, body: Body, trail: Trail) -> Admission | Reply:
        decided = self._machine.decider.decide(request, trail)
        while isinstance(decided, Ask):
            decided = decided.answer(await self._look_up(decided.question, body))
        return decided

    async def _look_up(self, question: Question, body: Body) -> Answered:
        match question:
            case Admit():
                return await self._machine.outage.admit(question)
            case Resolve(lookup, stale_for):
                return await self._machine.records.resolve(lookup, stale_for)
            case ReadBody(limit):
                return await body.whole(limit)
            case FetchKeys(issuer):
                await self._machine.keysets.refresh(issuer)
                return None

    async def _fulfil(
        self, admission: Admission, scope: Scope, receive: Receive, send: Send, answer: Answer, body: Body, sighting: Sighting
    ) -> None:
        """Have the request answered, and settle. What the upstream failed is given back; what it served is counted, also
        when the client did not stay for it."""
        outcome = Outcome.REFUND
        trail = sighting.trail
        trail.answer_headers.update(limit_headers(admission.standings, older=admission.route.x_ratelimit_headers))
        try:
            body.limit(admission.route.max_body)
            if admission.route.builtin is not None:
                await self._counted(admission)
                response = await self._machine.builtins[admission.route.builtin](admission.call)
                await response(scope, receive, answer.send)
            elif scope["type"] == "websocket":
                await self._tunnel(admission, scope, receive, send, answer, sighting)
            else:
                async with cancelled_when_gone(body):
                    await self._forward(admission, answer, body, sighting)
            outcome = Outcome.DELIVERED if answer.status < 500 else Outcome.REFUND
        except ClientGone:
            outcome = Outcome.CLIENT_GONE
            raise
        except NotSent:
            sighting.not_sent = True
            raise
        finally:
            if outcome is not Outcome.REFUND:
                sighting.overruns = overruns(admission.standings, sighting.usage_units)
            self._machine.ledger.settle_soon(admission.charge, outcome, sighting.usage_units, _effect(sighting))

    async def _forward(self, admission: Admission, answer: Answer, body: Body, sighting: Sighting) -> None:
        call, route = admission.call, admission.route
        assert route.upstream is not None
        head = OutboundHead(call.request.method, call.request.target, self._outbound(admission, route.upstream), body.length)
        sighting.upstream_asked = True
        response = await self._machine.upstreams.send(route.upstream, head, None if body.length == 0 else body.chunks())
        sighting.upstream_status, sighting.timings = response.status, response.timings
        sighting.usage_units = usage_units(response.headers)
        try:
            counts = response.status < 500
            receipt = self._machine.ledger.count(admission.charge, sighting.usage_units) if counts else None
            await _relay(response, answer, sighting.trail.answer_headers, receipt)
        finally:
            await response.aclose()

    async def _tunnel(
        self, admission: Admission, scope: Scope, receive: Receive, send: Send, answer: Answer, sighting: Sighting
    ) -> None:
        call, route, ours = admission.call, admission.route, sighting.trail.answer_headers
        assert route.upstream is not None
        sighting.upstream_asked = True
        head = OutboundHead(call.request.method, call.request.target, self._outbound(admission, route.upstream))
        accepted = {**ours, "X-Request-Id": answer.request_id}
        counted = partial(self._counted, admission)
        refused = await tunnel(scope, receive, send, self._machine.upstreams, route.upstream, head, accepted, counted)
        if refused is None:
            sighting.upstream_status = answer.status = 101
            return
        sighting.upstream_status = refused.status
        if refused.status < 500:
            await self._counted(admission)
        await answer.start(refused.status, refused.headers, ours)
        await answer.body(refused.body, more=False)

    async def _counted(self, admission: Admission) -> None:
        """Raises Refused where it is not known that the request's units are counted."""
        receipt = self._machine.ledger.count(admission.charge, None)
        if receipt is not None:
            await receipt.wait()

    def _outbound(self, admission: Admission, upstream: str) -> list[tuple[bytes, bytes]]:
        call = admission.call
        identity = self._machine.signer.token(call, upstream, call.request.received_at)
        return outbound(call, admission.route.chain, identity, keep_authorization=admission.route.keep_authorization)


async def _relay(response: UpstreamResponse, answer: Answer, ours: Mapping[str, str], receipt: Receipt | None) -> None:
    """Stream the response to the client. Its last byte waits for the `receipt`: what a client has whole is counted."""
    left = None if receipt is None else _length(response, answer)
    if receipt is not None and left == 0:
        await receipt.wait()
    await answer.start(response.status, inbound(response.headers), ours)
    async for piece in response.chunks():
        if receipt is not None and left is not None:
            left -= len(piece)
            if left <= 0:
                await receipt.wait()
        await answer.body(piece, more=True)
    if receipt is not None:
        await receipt.wait()
    await answer.body(b"", more=False)


def _length(response: UpstreamResponse, answer: Answer) -> int | None:
    """Bytes of the response's body, None where only its end tells."""
    if answer.head_only or response.status in (204, 304):
        return 0
    return next((int(value) for name, value in response.headers if name.lower() == b"content-length"), None)


def _effect(sighting: Sighting) -> Effect:
    """What the request has done at the upstream. A 5xx says that something went wrong there, not how far it got."""
    status = sighting.upstream_status
    if sighting.not_sent or not sighting.upstream_asked:
        return Effect.NOTHING
    if status is None or status >= 500 or 300 <= status < 400:
        return Effect.UNKNOWN
    return Effect.DONE if status < 300 else Effect.NOTHING


async def _refuse(scope: Scope, answer: Answer, refused: Refused, trail: Trail) -> None:
    """Say why, where an answer can still be given; where it has begun, it must not look as if it had ended well."""
    if answer.started:
        _abort(scope)
        return
    challenged = any(name == "WWW-Authenticate" for name, _ in refused.headers)
    if refused.problem.status == 401 and trail.route is not None and not challenged:
        refused = replace(refused, headers=(*refused.headers, *trail.route.chain.challenges()))
    with suppress(ClientGone):
        await answer.refuse(refused, trail.answer_headers)


def _abort(scope: Scope) -> None:
    """Drop the client's connection. A server that can't be told so closes it when the application fails."""
    known = told(scope)
    if known is None:
        raise ConnectionAbortedError("the answer broke off")
    known.abort()
