"""A client's connection: the server side of HTTP/1.1 (RFC 9112), under uvicorn as its `http` protocol.

One request at a time: what a client sends ahead waits as bytes, and is read when the answer before it has ended. Everything is
a callback; nothing here starts a task. What was read is handed to the `Handler` of the request, which answers by `start`,
`write` and `finish`, at once or later.

A message that is broken becomes a head with a fault, which is refused like any other request: so it is logged and counted, and
answered when its turn has come. Nothing is read as a request after it.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop as Loop
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway.deadline import Deadline
from gateway.errors import REQUEST_TIMEOUT, SHUTTING_DOWN, Refused

from .handler import Handler, Server
from .handshake import handshake_fault
from .head import Head, read_head
from .incoming import Incoming
from .outgoing import Fields, Outgoing
from .patience import HEAD_WITHIN, IN_A_TURN, KEEP_ALIVE, LAST_CALL, LINGER, MAX_AHEAD
from .pipe import Pipe
from .websocket import become_websocket


class ClientConnection(asyncio.Protocol):
    """`peer` is the address at the other end; empty where there is none, as on a Unix socket. `handler` has the request that is
    being answered, by what `outgoing` frames: where that is not `persistent`, it is the last one."""

    def __init__(
        self, server: Server, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Loop | None = None
    ) -> None:
        self.loop = _loop or asyncio.get_event_loop()
        self.config = config
        self.app_state = app_state
        # uvicorn names its own protocols there; all that it does with them is to call `shutdown`.
        self.connections = cast(set[ClientConnection], server_state.connections)
        self.server_state = server_state
        self._server = server
        self._deadline = Deadline(self.loop, self._is_late)
        self._incoming = Incoming()
        self.outgoing = Outgoing(Head())
        self.handler: Handler | None = None
        # Whether a request is being answered; one is being read; its body is wanted.
        self._busy, self._in_head, self._wants_body = False, True, False
        self._advancing = self._is_ending = self._lingering = self._closed = self._expired = self._idle = False

    # Called by the transport and by uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._pipe = Pipe(self.transport, self.loop)
        self.remote, self.local = get_remote_addr(self.transport), get_local_addr(self.transport)
        self.peer = "" if self.remote is None else self.remote[0]
        self.scheme = "https" if is_ssl(self.transport) else "http"
        self.connections.add(self)
        self._deadline.set(HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self.handler is not None:
            self.handler.gone()

    def _leave(self) -> None:
        self._closed = True
        self._deadline.close()
        self.connections.discard(self)

    def eof_received(self) -> None:
        """A client that sends no more is taken for gone, as most servers do. The transport closes."""
        if self._busy and self.outgoing.ends_with_connection:
            self._pipe.reset()

    def shutdown(self) -> None:
        """No more requests after this one, or after one more where the client can't know yet."""
        self._is_ending, self.outgoing.persistent = True, False
        if not self._busy:
            self.loop.call_later(LAST_CALL, self._close_unless_busy)

    def expire(self) -> None:
        """The time for requests in flight is over. Whoever answers may do so once more, and soon."""
        self._is_ending, self.outgoing.persistent = True, False
        if self.handler is not None:
            self.handler.broken(Refused(SHUTTING_DOWN))
        self._expired = self.handler is not None
        self._deadline.set(LAST_CALL) if self._expired else self._close()

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._closed:
            return
        incoming = self._incoming
        incoming.received += data
        if not self._busy:
            self._advance()
        elif not incoming.complete and self._wants_body:
            self._read_body()
        if len(incoming.received) > MAX_AHEAD and not (self._wants_body and self._busy):
            self._pipe.pause_reading()

    def pause_writing(self) -> None:
        self._pipe.writing_paused()
        self._watch()
        if self.handler is not None:
            self.handler.pause()

    def resume_writing(self) -> None:
        self._pipe.writing_resumed()
        self._watch()
        if self.handler is not None:
            self.handler.resume()
        elif not self._busy:
            self._advance()

    # Called by handlers

    def resume_body(self) -> None:
        """The body is wanted from now on."""
        if self._incoming.complete or self._closed:
            return
        self._wants_body = True
        self._watch()
        self._pipe.resume_reading()
        if self._incoming.received:
            self.loop.call_soon(self._read_body)
        else:
            self._pipe.send(self.outgoing.interim())

    def pause_body(self) -> None:
        self._wants_body = False
        self._watch()

    def start(self, status: int, fields: Fields, *, sized: bool) -> None:
        """The head of the answer, without framing but `Content-Length`. It leaves with the first piece of the body, or at the
        end of this turn of the loop. `sized`: `fields` tell the body's length, or there is none.
        What follows on a connection whose request was not read to its end is no request, so the answer ends it.
        """
        self.outgoing.persistent = self.outgoing.persistent and self._incoming.complete
        self._pipe.hold(self.outgoing.start(status, fields, sized=sized))

    def write(self, piece: bytes) -> None:
        """A piece of the body."""
        self._pipe.send(self.outgoing.piece(piece))

    def finish(self, piece: bytes = b"") -> None:
        """The last piece. The connection goes on to the next request, or closes."""
        self.reply(self.outgoing.last(piece))

    def reply(self, answer: bytes) -> None:
        """All that is left of an answer, framed already. A whole one only where `outgoing` is persistent."""
        self._pipe.send(answer)
        self.handler = None
        if self._closed:
            return
        if not self.outgoing.persistent:
            self._end()
            return
        self._busy = False
        if self._advancing:
            return
        if self._incoming.received:
            # Not at once: the handler has still to settle this one.
            self.loop.call_soon(self._advance)
        else:
            self._pipe.resume_reading()
            self._watch_head()

    def abort(self) -> None:
        """Drop the connection, where an answer must not look as if it had ended well. The handler hears nothing more."""
        self.handler = None
        self._leave()
        self._pipe.reset() if self.outgoing.ends_with_connection else self.transport.abort()

    # Reading requests

    def _advance(self) -> None:
        """Read requests until one of them, or the client, has to be waited for; a few, since others have their turn too."""
        self._advancing, left = True, IN_A_TURN
        while not self._busy and self._may_read and left:
            head = self._incoming.next_head()
            if head is None:
                break
            left -= 1
            self._begin(head)
        self._advancing = False
        if self._busy or not self._may_read:
            return
        if left:
            self._pipe.resume_reading()
            self._watch_head()
        else:
            self.loop.call_soon(self._advance)

    @property
    def _may_read(self) -> bool:
        """Whether it is time for another request: not while the client does not take the answers to those before it."""
        return not (self._busy or self._closed or self._lingering) and self._pipe.is_writable

    def _begin(self, read: bytes | Head) -> None:
        block, head = (b"", read) if isinstance(read, Head) else (read, self._server.recall(self, read) or read_head(read))
        self.server_state.total_requests += 1
        if head.to_websocket and head.fault is None:
            head.fault = handshake_fault(head)
            if head.fault is None:
                self._leave()
                self._pipe.resume_reading()
                become_websocket(self, head, self._incoming.received)
                return
        self._busy, self._in_head, self._wants_body, self._idle = True, False, False, False
        self.outgoing = Outgoing(head, is_last=self._is_ending)
        self._deadline.lift()
        handler = self._server.serve(self, head, self._incoming.begin_body(head), block)
        self.handler = None if self._closed else handler

    def _read_body(self) -> None:
        handler, incoming = self.handler, self._incoming
        if handler is None or incoming.complete or not self._wants_body:
            return
        try:
            piece = b"".join(incoming.pieces())
        except Refused as refused:
            self._break(handler, refused)
            return
        if piece:
            self._watch()  # sizes, extensions and trailers don't keep a body moving
            handler.body(piece)
        if incoming.complete and self.handler is handler:
            self._watch()
            handler.end()

    def _break(self, handler: Handler, refused: Refused) -> None:
        self.outgoing.persistent = self._wants_body = False
        self._deadline.lift()
        handler.broken(refused)

    # Deadlines, and what flows

    def _watch_head(self) -> None:
        if not self._pipe.is_writable:
            return
        if self._incoming.received and not self._in_head:
            self._in_head = True
            self._deadline.set(HEAD_WITHIN)
        elif not (self._in_head or self._idle):
            self._idle = True
            self._deadline.set(KEEP_ALIVE)

    def _watch(self) -> None:
        """Wait for the client where it is its turn."""
        if self._lingering or self._expired:
            return
        if not self._pipe.is_writable or (self._wants_body and not self._incoming.complete):
            self._deadline.set(self._server.body_idle)
        elif self._busy:
            self._deadline.lift()
        else:
            self._watch_head()

    def _is_late(self) -> None:
        handler, idle = self.handler, self._server.body_idle
        if self._lingering or self._expired:
            self.transport.abort()
        elif not self._pipe.is_writable or self.transport.is_closing():
            # A reader that takes nothing holds what others could use.
            self._deadline.set(idle) if self._pipe.moves() else self.transport.abort()
        elif handler is not None:
            self._break(handler, Refused(REQUEST_TIMEOUT, f"The body stood still for {idle:g} s."))
        elif self._incoming.received:
            late = Refused(REQUEST_TIMEOUT, f"The head of a request has to come within {HEAD_WITHIN:g} s.")
            self._begin(Head(fault=late))
        else:
            self._close()

    # The end

    def _end(self) -> None:
        """After the last answer: close, but not while the client is still sending."""
        if self._incoming.complete or not self._pipe.end():
            self._close()
            return
        self._lingering, self._incoming.received = True, b""
        self._pipe.resume_reading()
        self._deadline.set(LINGER)

    def _close_unless_busy(self) -> None:
        if not self._busy:
            self._close()

    def _close(self) -> None:
        """When the client has taken what was written, as long as it goes on taking."""
        self.transport.close()
        self._pipe.moves()
        self._deadline.set(self._server.body_idle)
