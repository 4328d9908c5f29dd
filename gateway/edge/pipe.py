"""A transport as a client's connection uses it: what is read and written is held back and let go, and a client that is not read
from is looked after."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
import sys
import termios
from contextlib import suppress

_WRITE_HIGH = 256 << 10
# Seconds between two looks at whether a client that is not read from is still there.
_LOOK = 0.5
# Linux can tell that the other end has closed though there are bytes to be read, and what it has not taken yet.
_GONE = getattr(select, "POLLRDHUP", 0)
_NOW = struct.pack("ii", 1, 0)


class Pipe:
    """`is_writable`: the client takes what is written; otherwise it is kept in memory."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        transport.set_write_buffer_limits(high=_WRITE_HIGH)
        self.is_writable = True
        self._transport = transport
        self._loop = loop
        self._is_read = True
        self._look: asyncio.TimerHandle | None = None
        self._unsent = b""
        self._untaken = 0

    # Writing

    def hold(self, data: bytes) -> None:
        """To leave with what is sent next, in one write, or at the end of this turn of the loop."""
        self._unsent = data
        self._loop.call_soon(self.send, b"")

    def send(self, data: bytes) -> None:
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        # Some event loops raise where the transport has begun to close; that it has is told by connection_lost.
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> bool:
        """No more is sent; whether the client is told so, and can go on sending itself."""
        if self._transport.is_closing() or not self._transport.can_write_eof():
            return False
        self._transport.write_eof()
        return True

    def reset(self) -> None:
        """End the connection at once, in a way that can't be taken for the end of an answer."""
        descriptor = self._descriptor()
        with suppress(OSError):  # such as when there is no descriptor left
            if descriptor >= 0:
                with socket.socket(fileno=os.dup(descriptor)) as other:
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
        self._transport.abort()

    def writing_paused(self) -> None:
        self.is_writable = False
        self._untaken = self._waiting()

    def writing_resumed(self) -> None:
        self.is_writable = True

    def moves(self) -> bool:
        """Whether the client has taken anything since it was asked last: a slow reader takes a little at a time."""
        before, self._untaken = self._untaken, self._waiting()
        return self._untaken < before

    def _waiting(self) -> int:
        """Bytes that the client has not taken: ours, and the system's."""
        descriptor, queued = self._descriptor(), b"\0" * 4
        with suppress(OSError):
            if descriptor >= 0:
                queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, queued)
        return self._transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)

    # Reading

    def pause_reading(self) -> None:
        if self._is_read:
            self._is_read = False
            self._transport.pause_reading()
            self._look_later()

    def resume_reading(self) -> None:
        if not self._is_read and not self._transport.is_closing():
            self._is_read = True
            self._transport.resume_reading()

    def _look_later(self) -> None:
        if _GONE and self._look is None:
            self._look = self._loop.call_later(_LOOK, self._look_for_client)

    def _look_for_client(self) -> None:
        """A client that is not read from can't be heard going."""
        self._look = None
        if self._is_read or self._transport.is_closing():
            return
        poll = select.poll()
        poll.register(self._descriptor(), _GONE)
        if poll.poll(0):
            self._transport.abort()
        else:
            self._look_later()

    def _descriptor(self) -> int:
        """Of the socket; -1 where there is none any more."""
        own = self._transport.get_extra_info("socket")
        return -1 if own is None else int(own.fileno())
