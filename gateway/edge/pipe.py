"""A transport as a client's connection uses it: what is read and written is held back and let go."""

from __future__ import annotations

import asyncio

_WRITE_HIGH = 256 << 10


class Pipe:
    """`is_writable`: the client takes what is written; otherwise it is kept in memory."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        transport.set_write_buffer_limits(high=_WRITE_HIGH)
        self.is_writable = True
        self._transport = transport
        self._loop = loop
        self._is_read = True
        self._unsent = b""
        self._buffered = 0

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

    def writing_paused(self) -> None:
        self.is_writable = False
        self._buffered = self._transport.get_write_buffer_size()

    def writing_resumed(self) -> None:
        self.is_writable = True

    def moves(self) -> bool:
        """Whether the client has taken anything since it was asked last: a slow reader takes a little at a time."""
        before, self._buffered = self._buffered, self._transport.get_write_buffer_size()
        return self._buffered < before

    def pause_reading(self) -> None:
        if self._is_read:
            self._is_read = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_read and not self._transport.is_closing():
            self._is_read = True
            self._transport.resume_reading()
