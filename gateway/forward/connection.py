"""A connection to an upstream: one exchange at a time, never pipelined."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from gateway.clock import Clock
from gateway.deadline import Deadline
from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_INVALID_RESPONSE, UPSTREAM_TIMEOUT, Refused
from gateway.settings.upstreams import Timeouts

from .exchange import UpstreamAborted
from .response import ResponseReader
from .response_head import MAX_REMEMBERED, InvalidResponse, ResponseHead, remembered

if TYPE_CHECKING:
    from .exchange import Exchange

_WRITE_HIGH = 256 << 10


class Home(Protocol):
    """Where a connection comes from and goes back to."""

    def released(self, connection: UpstreamConnection) -> None:
        """Its exchange is complete; it may carry the next one."""

    def closed(self, connection: UpstreamConnection) -> None:
        """It is of no use any more. Called once."""

    def answered(self, status: int) -> None:
        """A response with this status was complete."""

    def let_down(self, why: str) -> None:
        """A response did not come about, or not as a whole, by the upstream's own fault."""


class UpstreamConnection(asyncio.Protocol):
    """Every call back into an exchange is the last thing done with it, since it may abort the exchange or begin the next."""

    def __init__(self, home: Home, timeouts: Timeouts, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._timeouts = timeouts
        self._exchange: Exchange | None = None
        self._reader: ResponseReader | None = None
        self._used = False
        self._stale = False
        self._uploading = False
        self._headed = False
        self._writable = True
        self._reading = True
        self._was_held = False
        self._unsent = 0
        self._sent_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._missed)
        self._retirement: asyncio.TimerHandle | None = None
        self._is_retired = False
        self.is_closed = False

    # For the pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)

    @property
    def is_usable(self) -> bool:
        return not (self.is_closed or self._transport.is_closing())

    def begin(self, exchange: Exchange) -> None:
        """Send the request. The connection is idle and usable."""
        self._exchange = exchange
        exchange.connection = self
        self._reader = None
        self._stale, self._used = self._used, True
        self._headed = self._was_held = False
        self._uploading = exchange.streamed
        if exchange.streamed:
            self._transport.write(exchange.opening)
            self._watch()
            exchange.sink.resume_upload()
        else:
            # Before it is written, which may pause us: then another deadline holds.
            self._deadline.set(self._timeouts.first_byte)
            self._transport.write(exchange.opening)
            self._sent_at = self._clock.monotonic()

    def rest(self, seconds: float) -> None:
        """No exchange for now; close after `seconds` without one."""
        self._deadline.set(seconds)

    def retire_in(self, seconds: float) -> None:
        """Carry no exchange that would begin later than in `seconds`."""
        self._retirement = self._loop.call_later(seconds, self._retire)

    def drop(self) -> None:
        """Close at once, whatever has not been sent."""
        if self.is_closed:
            return
        self.is_closed = True
        self._deadline.close()
        if self._retirement is not None:
            self._retirement.cancel()
        self._transport.abort()
        self._home.closed(self)

    # For the exchange

    def write(self, pieces: Sequence[bytes]) -> None:
        # Some event loops raise where the transport has begun to close; that it has is told by connection_lost.
        # Joined, since `writelines` of asyncio in Python 3.12.0 to 3.13.1 forgets to pause who writes.
        if self.is_usable:
            self._transport.write(b"".join(pieces))

    def finish(self, pieces: Sequence[bytes]) -> None:
        """Write the last pieces of the request's body."""
        self.write(pieces)
        self._uploading = False
        self._sent_at = self._clock.monotonic()
        self._watch()

    def pause_reading(self) -> None:
        if self._reading and not self.is_closed:
            self._reading, self._was_held = False, True
            self._transport.pause_reading()
            self._watch()

    def resume_reading(self) -> None:
        if not self._reading and not self.is_closed:
            self._reading = True
            self._transport.resume_reading()
            self._watch()

    def abort(self) -> None:
        """Drop the connection; the exchange hears nothing more."""
        self._detach()
        self.drop()

    # Called by the transport

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nothing was asked. Whatever it is, it must not be taken for the answer to the next request.
            self.drop()
            return
        self._stale = False
        reader = self._reader
        if reader is None:
            end = data.find(b"\r\n\r\n", 0, MAX_REMEMBERED) + 4
            answer = remembered(data[:end])
            if answer is not None and len(data) - end == (0 if exchange.method == "HEAD" else answer.length):
                # All at once, under a head that is known: there is nothing to read.
                body = (data[end:],) if len(data) > end else ()
                self._deliver(exchange, answer, body, complete=True, persistent=answer.persistent)
                return
            reader = self._reader = ResponseReader(exchange.method)
        try:
            pieces = reader.feed(data)
        except InvalidResponse as error:
            self._fail(Refused(UPSTREAM_INVALID_RESPONSE, f"The response is not well-formed HTTP/1.1: {error}."))
            return
        if reader.head is not None:
            self._deliver(exchange, reader.head, pieces, complete=reader.complete, persistent=reader.persistent)

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._ended()
        else:
            self._fail(Refused(UPSTREAM_CLOSED, "The connection broke."), f"{type(exc).__name__}: {exc}")

    def pause_writing(self) -> None:
        self._writable = False
        self._unsent = self._transport.get_write_buffer_size()
        self._watch()
        if self._uploading and self._exchange is not None:
            self._exchange.sink.pause_upload()

    def resume_writing(self) -> None:
        self._writable = True
        self._watch()
        if self._uploading and self._exchange is not None:
            self._exchange.sink.resume_upload()

    # The response

    def _deliver(
        self, exchange: Exchange, answer: ResponseHead, pieces: Sequence[bytes], *, complete: bool, persistent: bool
    ) -> None:
        if not self._headed:
            self._headed = True
            exchange.first_byte = 0.0 if self._uploading else self._clock.monotonic() - self._sent_at
            exchange.is_whole = complete
            exchange.sink.head(answer)
        for piece in pieces:
            if self._exchange is not exchange:
                return
            exchange.sink.data(piece)
        if self._exchange is not exchange:
            return
        if complete:
            self._complete(exchange, answer, persistent=persistent)
        else:
            self._watch()

    def _complete(self, exchange: Exchange, answer: ResponseHead, *, persistent: bool) -> None:
        """An answer that ends before its request does leaves a connection that can't be used again."""
        self._home.answered(answer.status)
        is_reusable = persistent and self._writable and not (self._uploading or self._is_retired)
        self._exchange = exchange.connection = None
        self._uploading = False
        try:
            exchange.sink.complete()
        finally:
            if is_reusable and not self.is_closed:
                if not self._reading:
                    self.resume_reading()
                self._home.released(self)
            else:
                self.drop()

    def _ended(self) -> None:
        exchange, reader = self._exchange, self._reader
        if exchange is not None and reader is not None and reader.head is not None and reader.end() and not self._is_cut_off():
            self._complete(exchange, reader.head, persistent=False)
        else:
            self._fail(Refused(UPSTREAM_CLOSED, "The connection was closed before the response was complete."))

    def _is_cut_off(self) -> bool:
        """Whether TLS was ended by somebody else than the upstream, who says so first (RFC 8446, 6.1)."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return False
        try:
            return bool(tls.read(1))
        except ssl.SSLZeroReturnError:
            return False
        except ssl.SSLError:
            return True

    def _fail(self, refused: Refused, why: str = "") -> None:
        exchange, stale = self._exchange, self._stale
        # An upstream may close what it has not used for a while, and hang up on a client that is slow.
        is_excused = refused.problem is UPSTREAM_CLOSED and (stale or self._uploading or self._was_held)
        if exchange is not None and not is_excused:
            self._home.let_down(why or refused.detail)
        self._detach()
        self.drop()
        if exchange is not None:
            error = UpstreamAborted(refused.problem, refused.detail) if self._headed else refused
            exchange.lost(error, stale=stale and refused.problem is UPSTREAM_CLOSED)

    def _detach(self) -> None:
        if self._exchange is not None:
            self._exchange.connection = None
            self._exchange = None
        self._uploading = False

    # Deadlines

    def _retire(self) -> None:
        self._is_retired = True
        if self._exchange is None:
            self.drop()

    def _watch(self) -> None:
        """Wait for whose turn it is. Where that is the client (it sends its body, or reads ours), its own deadlines hold."""
        if self._exchange is None:
            return
        if not self._reading:
            self._deadline.lift()
        elif not self._writable:
            self._deadline.set(self._timeouts.idle)
        elif self._uploading:
            self._deadline.lift()
        else:
            self._deadline.set(self._timeouts.idle if self._headed else self._timeouts.first_byte)

    def _missed(self) -> None:
        if self._exchange is None:
            self.drop()
        elif not self._writable and self._transport.get_write_buffer_size() < self._unsent:
            self._unsent = self._transport.get_write_buffer_size()
            self._watch()
        else:
            waited = "take the request" if not self._writable else "go on" if self._headed else "answer"
            self._fail(Refused(UPSTREAM_TIMEOUT, f"The upstream did not {waited} in time."))
