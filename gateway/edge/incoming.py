"""The bytes of a client, cut into requests: heads, and the bodies that follow them. No sockets."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import HEADERS_TOO_LARGE, Refused

from .chunks import Chunks
from .head import Head, broken, can_begin, read_line

MAX_HEAD = 64 << 10


class Incoming:
    """Bytes are added to `received`. What is not wanted yet stays there: the body of a request until it is asked for, and
    requests that were sent ahead."""

    def __init__(self) -> None:
        self.received = b""
        self.complete = True
        """Whether the body of the request that was read last has been taken whole."""
        self._searched = 0
        self._has_begun = False
        self._left = 0
        self._chunks: Chunks | None = None

    def next_head(self) -> bytes | Head | None:
        """The next head, without its end; None as long as it is not there; one with a fault where it can't become good. Empty
        lines before it are skipped (RFC 9112, 2.2)."""
        data, at = self.received, 0
        while data.startswith(b"\r\n", at):
            at += 2
        if at:
            data, self._searched = data[at:], 0
        end = data.find(b"\r\n\r\n", self._searched - 3 if self._searched > 3 else 0)
        if 0 <= end <= MAX_HEAD:
            self.received, self._searched, self._has_begun = data[end + 4 :], 0, False
            return data[:end]
        self.received, searched, self._searched = data, self._searched, len(data)
        if end > MAX_HEAD or len(data) > MAX_HEAD:
            return Head(fault=Refused(HEADERS_TOO_LARGE, f"A head has at most {MAX_HEAD} bytes."))
        if _holds_bare_line_feed(data, searched):
            return broken("A line of the head does not end in CR LF.")
        return None if self._has_begun else self._first_line()

    def _first_line(self) -> Head | None:
        """A fault of the first line is told before the rest has come: what speaks another protocol waits for an answer."""
        line, end, _ = self.received.partition(b"\r\n")
        if not end:
            return None if can_begin(line) else read_line(line)
        head = read_line(line)
        self._has_begun = head.fault is None
        return None if self._has_begun else head

    def begin_body(self, head: Head) -> bytes | None:
        """The whole body where it is at hand; None where `pieces` has to bring it."""
        self.complete, self._chunks = False, None
        if head.fault is not None:
            return b""  # Where such a message ends is not known.
        if head.length is None:
            self._chunks = Chunks()
            return None
        if len(self.received) < head.length:
            self._left = head.length
            return None
        self.complete = True
        body, self.received = self.received[: head.length], self.received[head.length :]
        return body

    def pieces(self) -> Iterator[bytes]:
        """What has come of the body. It is complete when `complete` says so afterwards. Raises Refused(BAD_REQUEST)."""
        if self._chunks is not None:
            data, self.received = self.received, b""
            yield from self._chunks.feed(data)
            self.complete = self._chunks.complete
            if self.complete:
                self.received = self._chunks.rest
            return
        piece, self.received = self.received[: self._left], self.received[self._left :]
        self._left -= len(piece)
        self.complete = self._left == 0
        if piece:
            yield piece


def _holds_bare_line_feed(data: bytes, since: int) -> bool:
    """Whether a line feed without its carriage return stands in `data`, of which all before `since` is known."""
    if since and data[since - 1] == 0x0D:
        since -= 1
    return data.count(b"\n", since) != data.count(b"\r\n", since)
