"""One request by callbacks: bytes in, a decision, bytes out, with no task and no future as long as nothing has to be asked.

It carries what an upstream answers. Answers of our own that are more than a refusal, and bodies that have to be known whole and
are not at hand yet, go to the `Proxy`, with what was read and decided so far.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope, Send

from gateway.decision import Admission, Ask
from gateway.edge.answer import answer_fields, is_last_word, refusal
from gateway.edge.asgi import AsgiRequest
from gateway.edge.connection import ClientConnection
from gateway.edge.handler import Handler
from gateway.edge.head import Head
from gateway.errors import BODY_TOO_LARGE, INTERNAL_ERROR, Refused
from gateway.forward.exchange import Exchange, UpstreamAborted
from gateway.forward.response_head import ResponseHead
from gateway.ledger.ledger import Outcome
from gateway.ledger.receipt import Receipt
from gateway.pipeline.question import ReadBody, WholeBody
from gateway.transaction import Decided, Transaction

from .carriage import Carriage
from .flow import Seen

_log = logging.getLogger("tenantgate.proxy")


class Passage:
    """One request on its way through: the `Handler` of its client's connection, and the `Sink` of its upstream's.

    As a context it ends the request with a refusal, whatever fails inside. Every callback is one.
    """

    __slots__ = ("_asking", "_block", "_body", "_carriage", "_closed", "_connection", "_exchange", "_head", "_held", "_left",
                 "_receipt", "_received", "_room", "_sent", "_start", "_status", "_successor", "_transaction",
                 "_was_read")  # fmt: skip

    def __init__(
        self, carriage: Carriage, connection: ClientConnection, head: Head, body: bytes | None, block: bytes, given_id: str = ""
    ) -> None:
        machine = carriage.machine
        self._carriage = carriage
        self._connection: ClientConnection | None = connection
        self._head = head
        self._block = block
        self._body = body
        request_id = given_id or machine.reader.request_id(connection.peer, head.fields)
        self._transaction = Transaction(machine, request_id, head.method, connection.peer)
        self._exchange: Exchange | None = None
        self._asking: asyncio.Task[None] | None = None
        self._successor: Handler | None = None
        self._closed, self._room, self._sent = False, 0, 0
        # Whether the body has been, or is being: an answer that is given without it ends the connection.
        self._was_read = head.length == 0
        self._received = 0 if body is None else len(body)
        self._status = 0  # of the answer; its head as long as that must not leave, and what is left of its body
        self._start: list[tuple[bytes, bytes]] | None = None
        self._receipt: Receipt | None = None
        self._left: int | None = None
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if isinstance(error, Refused | UpstreamAborted):
            self._fail(error)
        elif isinstance(error, Exception):
            _log.exception("request failed", exc_info=error, extra={"request_id": self._transaction.request_id})
            self._fail(Refused(INTERNAL_ERROR))
        return isinstance(error, Exception)

    # The decision

    def begin(self) -> Handler | None:
        """Who hears of the request from now on; None where it is over."""
        with self:
            connection, transaction = self._connection, self._transaction
            assert connection is not None
            reader = self._carriage.machine.reader
            request = reader.read_head(self._head, connection.peer, connection.scheme, transaction.request_id)
            self._go_on(transaction.decide(request))
        return self._successor or (None if self._connection is None else self)

    def take_over(
        self, exchange: Exchange, admission: Admission, headers: Mapping[str, str], started: float, receipt: Receipt | None
    ) -> None:
        """Go on with a request that is on its way to the upstream already. `receipt`: its answer waits for that."""
        assert self._connection is not None
        self._transaction.take_over(admission, headers, started)
        self._was_read, self._receipt = True, receipt
        self._exchange, exchange.sink = exchange, self
        self._connection.handler = self

    def _go_on(self, decided: Decided) -> None:
        while isinstance(decided, Ask):
            question = decided.question
            if not isinstance(question, ReadBody):
                self._asking = asyncio.get_running_loop().create_task(self._ask(decided))
                return
            if self._body is None or len(self._body) > question.limit:
                self._hand_over(decided)
                return
            self._was_read = True
            decided = decided.answer(WholeBody.of(self._body))
        if isinstance(decided, Admission) and decided.route.upstream is not None:
            self._forward(decided)
        else:
            self._hand_over(decided)

    async def _ask(self, ask: Ask) -> None:
        with self:
            answer = await self._carriage.machine.look_up(ask.question)
            self._asking = None
            self._go_on(ask.answer(answer))

    def _hand_over(self, decided: Decided) -> None:
        connection, self._connection, self._closed = self._connection, None, True
        assert connection is not None
        transaction, proxy = self._transaction, self._carriage.proxy

        async def carry(scope: Scope, receive: Receive, send: Send) -> None:
            await proxy.carry(scope, receive, send, transaction, decided)

        self._successor = AsgiRequest(connection, self._head, self._body, carry)
        connection.handler = self._successor

    # The request

    def _forward(self, admission: Admission) -> None:
        connection, transaction = self._connection, self._transaction
        body, length = self._body, self._head.length
        answer_headers = dict(transaction.answer_headers)
        transaction.admit(admission)
        self._room = admission.route.max_body
        self._check_size(length or 0)
        self._was_read = True
        head = transaction.outbound(length if body is None else None)
        upstreams = self._carriage.machine.upstreams
        self._exchange = upstreams.begin(transaction.upstream, head, body or None, self, streamed=body is None)
        self._exchange.start()
        if admission.precedent is not None and connection is not None:
            seen = Seen(self._head, self._block, admission, head, answer_headers)
            self._carriage.flows.learn(seen, admission.precedent, connection.peer, connection.scheme)

    def _check_size(self, size: int) -> None:
        if size > self._room:
            raise Refused(BODY_TOO_LARGE, f"At most {self._room} bytes are accepted here.")

    def body(self, piece: bytes) -> None:
        with self:
            self._received += len(piece)
            self._check_size(self._received)
            if self._exchange is not None:
                self._exchange.write(piece)

    def end(self) -> None:
        with self:
            if self._exchange is not None:
                self._exchange.finish()

    def resume_upload(self) -> None:
        if self._connection is not None:
            self._connection.resume_body()

    def pause_upload(self) -> None:
        if self._connection is not None:
            self._connection.pause_body()

    # The answer. Its last byte waits for the receipt: what a client has whole is counted.

    def head(self, answer: ResponseHead) -> None:
        with self:
            self._note(answer, 0 if self._head.method == "HEAD" else answer.length)
            if self._receipt is None or self._left != 0:
                self._begin_answer()

    def whole(self, answer: ResponseHead, body: bytes) -> None:
        """An answer of which nothing leaves before `complete`."""
        with self:
            self._note(answer, 0)
            self._held, self._sent = body, len(body)

    def _note(self, answer: ResponseHead, left: int | None) -> None:
        transaction = self._transaction
        assert self._exchange is not None
        self._receipt = transaction.responded(answer, self._exchange.timings) or self._receipt
        self._left, self._status = left, answer.status
        self._start = answer_fields(answer.fields, transaction.answer_headers, transaction.request_id)

    def _begin_answer(self) -> None:
        fields, self._start = self._start, None
        if fields is not None and self._connection is not None:
            self._connection.start(self._status, fields, sized=self._left is not None)

    def data(self, piece: bytes) -> None:
        with self:
            self._sent += len(piece)
            if self._receipt is not None and self._left is not None:
                self._left -= len(piece)
                if self._left <= 0:
                    self._held += piece
                    return
            if self._connection is not None:
                self._connection.write(piece)

    def complete(self) -> None:
        with self:
            self._exchange = None
            if self._receipt is None:
                self._finish()
            else:
                self._receipt.then(self._counted)

    def _counted(self, refused: Refused | None) -> None:
        with self:
            if refused is not None:
                raise refused
            self._finish()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._start is not None:
                connection.start(self._status, self._start, sized=self._left is not None)
            connection.finish(self._held)
        self._close(Outcome.DELIVERED if self._status < 500 else Outcome.REFUND)

    def pause(self) -> None:
        if self._exchange is not None:
            self._exchange.pause_reading()

    def resume(self) -> None:
        if self._exchange is not None:
            self._exchange.resume_reading()

    # Other ends

    def failed(self, error: Refused | UpstreamAborted) -> None:
        self._exchange = None
        with self:
            self._fail(error)

    def broken(self, refused: Refused) -> None:
        with self:
            self._fail(refused)

    def gone(self) -> None:
        self._connection = None
        self._transaction.sighting.client_gone = True
        self._close(Outcome.CLIENT_GONE)

    def _fail(self, error: Refused | UpstreamAborted) -> None:
        """Say why, where an answer can still be given; where it has begun, it must not look as if it had ended well."""
        refused = self._transaction.fail(error)
        connection, self._connection = self._connection, None
        has_begun = self._status > 0 and self._start is None
        try:
            if connection is not None and (refused is None or has_begun):
                connection.abort()
            elif connection is not None and refused is not None:
                self._status, self._sent = refused.problem.status, self._refuse(connection, refused)
        finally:
            self._close(Outcome.REFUND)

    def _refuse(self, connection: ClientConnection, refused: Refused) -> int:
        """Returns the length of what is said."""
        transaction = self._transaction
        fields, document = refusal(refused, transaction.request_id, head_only=self._head.method == "HEAD")
        if is_last_word(refused) or refused.problem is BODY_TOO_LARGE or not self._was_read:
            connection.outgoing.persistent = False
        fields = answer_fields(fields, transaction.answer_headers, transaction.request_id)
        connection.start(refused.problem.status, fields, sized=True)
        connection.finish(document)
        return len(document)

    def _close(self, outcome: Outcome) -> None:
        """The one end of every request that was not handed over. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        asking, self._asking = self._asking, None
        if asking is not None and asking is not asyncio.current_task():
            asking.cancel()
        if self._receipt is not None:
            self._receipt.drop()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abort()
        self._transaction.settle(outcome)
        self._transaction.observe(self._status, self._received, self._sent)
