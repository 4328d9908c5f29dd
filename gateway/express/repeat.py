"""A request whose head was seen before: bytes in, what it demands taken, bytes out, with as little between as can be.

This is a short cut for the usual case, and no second way of doing anything: as soon as something else comes than an answer that
is there whole, the request goes on as a `Passage`, with all that is known of it.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.decision import Admission
from gateway.edge.answer import date, field_lines
from gateway.edge.connection import ClientConnection
from gateway.edge.head import read_head
from gateway.edge.origin import new_request_id
from gateway.edge.outgoing import STATUS_LINES
from gateway.errors import Refused
from gateway.forward.exchange import Exchange, UpstreamAborted
from gateway.forward.response_head import ResponseHead
from gateway.ledger.ledger import Effect, Outcome
from gateway.ledger.receipt import Receipt
from gateway.pipeline.limits import limit_headers
from gateway.transaction import effect_of

from .carriage import Carriage
from .flow import Flow
from .passage import Passage

# Answers that are given as they come, and whose units are counted.
_USUAL = frozenset(status for status in STATUS_LINES if 200 <= status < 500) - {204, 304}


class Repeat:
    """`Handler` of its client's connection, and `Sink` of its upstream's."""

    __slots__ = ("_answer", "_block", "_body", "_carriage", "_charge", "_connection", "_exchange", "_flow", "_held", "_limits",
                 "_receipt", "_request_id", "_started")  # fmt: skip

    def __init__(self, carriage: Carriage, connection: ClientConnection, flow: Flow, body: bytes, block: bytes) -> None:
        self._carriage = carriage
        self._connection = connection
        self._flow = flow
        self._body = body
        self._block = block
        self._answer: ResponseHead | None = None
        self._held = b""
        self._receipt: Receipt | None = None

    def begin(self) -> bool:
        """Whether the request is admitted, and under way. If it is not, nothing has happened."""
        flow, machine = self._flow, self._carriage.machine
        now = machine.clock.now()
        if not flow.precedent.holds(now):
            return False
        self._started = machine.clock.monotonic()
        charge = machine.ledger.take_order(flow.order)
        if charge is None:
            return False
        self._charge = charge
        self._request_id = flow.request_id or new_request_id()
        self._exchange = Exchange(flow.chooser, flow.method, b"", self)
        self._connection.handler = self
        try:
            self._limits = self._told_limits()
            self._exchange.opening = flow.opening(machine, self._block, now, self._request_id) + self._body
            self._exchange.start()
        except Exception as error:
            self._stumble(error)
        return True

    # The usual case

    def head(self, answer: ResponseHead) -> None:
        flow, exchange = self._flow, self._exchange
        if (
            exchange.is_whole
            and answer.length is not None
            and answer.status in _USUAL
            and exchange.connect is None
            and not flow.is_told
            and self._connection.outgoing.persistent
            and flow.names.isdisjoint(answer.names)
        ):
            self._answer = answer
        else:
            self._as_passage().head(answer)

    def data(self, piece: bytes) -> None:
        self._held += piece

    def complete(self) -> None:
        """The answer waits for the receipt, if there is one: what a client has whole is counted."""
        try:
            self._receipt = self._carriage.machine.ledger.settlement.count(self._charge, None)
        except Exception as error:
            self._stumble(error)
            return
        if self._receipt is None:
            self._finish()
        else:
            self._receipt.then(self._counted)

    def _counted(self, refused: Refused | None) -> None:
        if refused is not None:
            self._stumble(refused)
            return
        self._receipt = None
        if self._connection.outgoing.persistent:
            self._finish()
        else:
            # It has become the last answer meanwhile, which has to be said.
            self._as_passage().complete()

    def _finish(self) -> None:
        flow, machine, answer = self._flow, self._carriage.machine, self._answer
        assert answer is not None
        lines = (
            STATUS_LINES[answer.status],
            answer.rendered,
            flow.told,
            self._limits,
            b"x-request-id: ",
            self._request_id.encode("ascii"),
            b"\r\n\r\n" if b"date" in answer.names else b"\r\ndate: %b\r\n\r\n" % date(),
            self._held,
        )
        try:
            self._connection.reply(b"".join(lines))
        finally:
            effect = effect_of(answer.status) if self._charge.resources else Effect.NOTHING
            machine.ledger.settlement.settle(self._charge, Outcome.DELIVERED, None, effect)
        seconds, first_byte = machine.clock.monotonic() - self._started, self._exchange.first_byte or 0.0
        # Its sink is this: what holds itself is only found by the garbage collector, and keeps that busy.
        del self._exchange
        flow.watch.answered(self._request_id, answer.status, seconds, first_byte, len(self._body), len(self._held))

    def _told_limits(self) -> bytes:
        """What is told of the limits that bind the request, and is not the same each time."""
        flow, ledger = self._flow, self._carriage.machine.ledger
        if flow.route.x_ratelimit_headers:
            return field_lines(limit_headers(ledger.standings(flow.order), older=True))
        if not flow.limits.headers:
            return b""
        return f"ratelimit: {flow.limits.told(ledger.numbers(flow.order))}\r\n".encode("ascii")

    # Anything else

    def failed(self, error: Refused | UpstreamAborted) -> None:
        self._as_passage().failed(error)

    def resume_upload(self) -> None:
        """There is none: the whole request is sent at once."""

    def pause_upload(self) -> None: ...

    def body(self, piece: bytes) -> None: ...

    def end(self) -> None: ...

    def broken(self, refused: Refused) -> None:
        self._as_passage().broken(refused)

    def gone(self) -> None:
        self._as_passage().gone()

    def pause(self) -> None:
        if self._answer is None:
            self._as_passage().pause()

    def resume(self) -> None: ...

    def _stumble(self, error: Exception) -> None:
        with self._as_passage():
            raise error

    def _as_passage(self) -> Passage:
        """Go on as any other request, with what has come of the answer."""
        flow, connection, machine = self._flow, self._connection, self._carriage.machine
        head = read_head(self._block)
        request = machine.reader.read_head(head, connection.peer, connection.scheme, self._request_id)
        call = replace(flow.call, request=request)
        admission = Admission(flow.route, call, machine.ledger.standings(flow.order), self._charge)
        passage = Passage(self._carriage, connection, head, self._body, self._block, self._request_id)
        passage.take_over(self._exchange, admission, flow.answer_headers, self._started, self._receipt)
        if self._answer is not None:
            passage.whole(self._answer, self._held)
        return passage
