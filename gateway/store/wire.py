"""One connection to the store that all calls share: what is sent in one turn of the event loop goes out as one write.

Replies come in the order of the commands (RESP2). A caller that goes away keeps its place in that order, and its reply is
dropped when it comes: none ever reaches another caller. redis-py gives each call a connection of its own instead, and closes
that of every call that is cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias, cast

import hiredis

Part: TypeAlias = str | bytes | int
Reply: TypeAlias = "bytes | int | list[Reply] | None"

_NOTHING_YET = object()
# Beyond it the store is not keeping up, and more would only wait for nothing.
_WAITING_MAX = 10_000


class StoreError(Exception):
    """A call got no answer, or a refusal."""


class ReplyError(StoreError):
    """The store has refused a command. `kind` is the first word of its answer, such as READONLY."""

    @property
    def kind(self) -> str:
        return str(self).partition(" ")[0]


class Wire(asyncio.Protocol):
    """A connection that stands. One that has failed, or was retired, takes no more calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_NOTHING_YET)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._unsent: list[bytes] = []
        self._retired = False
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._retired

    def send(self, parts: tuple[Part, ...]) -> asyncio.Future[Reply]:
        """Send one command. The future raises StoreError. Raises TypeError, UnicodeError for what is no command."""
        # First of all: a place in the queue without a command would hand every later reply to the caller after its own.
        # Its stub says a tuple of one part, and means of any number.
        packed = hiredis.pack_command(parts)  # type: ignore[arg-type]
        reply = self._loop.create_future()
        if len(self._waiting) >= _WAITING_MAX:
            reply.set_exception(StoreError("too many calls wait for the store"))
            return reply
        self._waiting.append(reply)
        if not self._unsent:
            self._loop.call_soon(self._write)
        self._unsent.append(packed)
        return reply

    def retire(self, patience: float) -> None:
        """Take no more calls; those that wait have `patience` seconds to get their replies."""
        if not self._retired:
            self._retired = True
            self._loop.call_later(patience, self._fail, StoreError("the connection was given up"))
            self._close_when_idle()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOTHING_YET:
                self._answer(reply)
        except (hiredis.HiredisError, IndexError) as error:
            self._fail(StoreError(f"not the protocol of a store: {error}"))
        self._close_when_idle()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(StoreError(f"the connection was lost: {error or 'closed by the store'}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _write(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is None or self._transport.is_closing():
            self._fail(StoreError("the connection was lost"))
        else:
            self._transport.write(data)

    def _answer(self, reply: Reply | ReplyError) -> None:
        waiting = self._waiting.popleft()
        if waiting.done():
            return
        if isinstance(reply, ReplyError):
            waiting.set_exception(reply)
        else:
            waiting.set_result(reply)

    def _fail(self, error: StoreError) -> None:
        self._retired = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    def _close_when_idle(self) -> None:
        if self._retired and self._transport is not None and all(waiting.done() for waiting in self._waiting):
            self._transport.abort()
