"""The walk as an ASGI application: from a request to its answer, in one straight line.

edge      bytes -> InboundRequest                          RequestReader.read_scope
decide    route, policies, ledger -> Admission or Refused  Transaction.decide, and what it asks for
forward   stamp, sign, send, stream both ways              _forward, _tunnel
settle    always, also on disconnect and on cancellation   _fulfil
observe   one log line, the metrics                        Transaction.observe

Any ASGI server can carry requests here. Ours brings WebSockets, and what `express` does not carry by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from gateway.decision import Admission, Ask, Reply
from gateway.edge.answer import Answer
from gateway.edge.body import Body, ClientGone, cancelled_when_gone
from gateway.edge.hygiene import check_framing
from gateway.edge.request import peer_of, told
from gateway.errors import INTERNAL_ERROR, SHUTTING_DOWN, Refused
from gateway.forward.exchange import UpstreamAborted
from gateway.forward.stream import UpstreamResponse
from gateway.forward.websocket import tunnel
from gateway.ledger.ledger import Outcome
from gateway.ledger.receipt import Receipt
from gateway.pipeline.question import ReadBody
from gateway.transaction import Decided, Machine, Transaction

_log = logging.getLogger("tenantgate.proxy")


class Proxy:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3, for the scope types `http` and `websocket`."""
        peer = peer_of(scope)
        request_id = self._machine.reader.request_id(peer, scope["headers"])
        transaction = Transaction(self._machine, request_id, str(scope.get("method", "GET")), peer)
        await self.carry(scope, receive, send, transaction, None)

    async def carry(
        self, scope: Scope, receive: Receive, send: Send, transaction: Transaction, decided: Decided | None
    ) -> None:
        """Bring the transaction to its end. `decided` is None where nothing has been yet, the request being unread."""
        answer = Answer(scope, send, transaction.request_id)
        try:
            await self._walk(scope, receive, send, answer, transaction, decided)
        except (Refused, UpstreamAborted) as error:
            await _refuse(scope, answer, transaction, error)
        except ClientGone:
            transaction.sighting.client_gone = True
        except asyncio.CancelledError:
            # The server has waited for its requests in flight as long as it may. They end here, with an answer of ours.
            await _refuse(scope, answer, transaction, Refused(SHUTTING_DOWN))
        except Exception:
            _log.exception("request failed", extra={"request_id": answer.request_id})
            await _refuse(scope, answer, transaction, Refused(INTERNAL_ERROR))
        finally:
            received = 0
            if answer.request_body is not None:
                received = answer.request_body.received
                answer.request_body.close()
            transaction.observe(answer.status, received, answer.sent)

    async def _walk(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        answer: Answer,
        transaction: Transaction,
        decided: Decided | None,
    ) -> None:
        request = transaction.sighting.request
        if request is None:
            request = transaction.sighting.request = self._machine.reader.read_scope(scope, answer.request_id)
        length = 0 if request.websocket else check_framing(request.fields)
        body = answer.request_body = Body(receive, length, self._machine.body_idle)
        decided = decided or transaction.decide(request)
        while isinstance(decided, Ask):
            question = decided.question
            if isinstance(question, ReadBody):
                decided = decided.answer(await body.whole(question.limit))
            else:
                decided = decided.answer(await self._machine.look_up(question))
        if isinstance(decided, Reply):
            await answer.start(decided.status, [], decided.headers)
            await answer.body(b"", more=False)
            return
        await self._fulfil(decided, scope, receive, send, answer, body, transaction)

    async def _fulfil(
        self,
        admission: Admission,
        scope: Scope,
        receive: Receive,
        send: Send,
        answer: Answer,
        body: Body,
        transaction: Transaction,
    ) -> None:
        """Have the request answered, and settle."""
        outcome = Outcome.REFUND
        transaction.admit(admission)
        try:
            body.limit(admission.route.max_body)
            if admission.route.builtin is not None:
                await _counted(transaction)
                response = await self._machine.builtins[admission.route.name](admission.call, body.content)
                await response(scope, receive, answer.sending(transaction.answer_headers))
            elif scope["type"] == "websocket":
                await self._tunnel(scope, receive, send, answer, transaction)
            else:
                async with cancelled_when_gone(body):
                    await self._forward(answer, body, transaction)
            outcome = Outcome.DELIVERED if answer.status < 500 else Outcome.REFUND
        except ClientGone:
            outcome = Outcome.CLIENT_GONE
            raise
        except Refused as refused:
            transaction.fail(refused)
            raise
        finally:
            transaction.settle(outcome)

    async def _forward(self, answer: Answer, body: Body, transaction: Transaction) -> None:
        upstream, head = transaction.upstream, transaction.outbound(body.length)
        response = await self._machine.upstreams.send(upstream, head, None if body.length == 0 else body.chunks())
        try:
            receipt = transaction.responded(response.answer, response.timings)
            await _relay(response, answer, transaction.answer_headers, receipt)
        finally:
            await response.aclose()

    async def _tunnel(self, scope: Scope, receive: Receive, send: Send, answer: Answer, transaction: Transaction) -> None:
        ours, head, sighting = transaction.answer_headers, transaction.outbound(), transaction.sighting
        accepted = {**ours, "X-Request-Id": answer.request_id}

        async def counted() -> None:
            await _counted(transaction)

        upstream = transaction.upstream
        refused = await tunnel(scope, receive, send, self._machine.upstreams, upstream, head, accepted, counted)
        if refused is None:
            sighting.upstream_status = answer.status = 101
            return
        sighting.upstream_status = refused.status
        if refused.status < 500:
            await counted()
        await answer.start(refused.status, refused.headers, ours)
        await answer.body(refused.body, more=False)


async def _counted(transaction: Transaction) -> None:
    """Raises Refused where it is not known that the request's units are counted."""
    receipt = transaction.count()
    if receipt is not None:
        await receipt.wait()


async def _relay(response: UpstreamResponse, answer: Answer, ours: Mapping[str, str], receipt: Receipt | None) -> None:
    """Stream the response to the client. Its last byte waits for the `receipt`: what a client has whole is counted."""
    head = response.answer
    left = None if receipt is None else 0 if answer.head_only else head.length
    if receipt is not None and left == 0:
        await receipt.wait()
    await answer.start(head.status, head.fields, ours)
    async for piece in response.chunks():
        if receipt is not None and left is not None:
            left -= len(piece)
            if left <= 0:
                await receipt.wait()
        await answer.body(piece, more=True)
    if receipt is not None:
        await receipt.wait()
    await answer.body(b"", more=False)


async def _refuse(scope: Scope, answer: Answer, transaction: Transaction, error: Refused | UpstreamAborted) -> None:
    """Say why, where an answer can still be given; where it has begun, it must not look as if it had ended well."""
    refused = transaction.fail(error)
    if refused is None or answer.started:
        _abort(scope)
        return
    with suppress(ClientGone):
        await answer.refuse(refused, transaction.answer_headers)


def _abort(scope: Scope) -> None:
    """Drop the client's connection. A server that can't be told so closes it when the application fails."""
    known = told(scope)
    if known is None:
        raise ConnectionAbortedError("the answer broke off")
    known.abort()
