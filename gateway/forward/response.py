"""Reads one response strictly (RFC 9112): where two readers could disagree about where it ends, it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from httptools import HttpParserError, HttpResponseParser

from .response_head import MAX_HEAD, InvalidResponse, ResponseHead, check_beginning, read_response_head

MAX_INTERIM = 100
"""Interim heads (1xx) before the final one."""


class ResponseReader:
    """Takes the bytes that a connection receives after one request; knows no sockets.

    `head` is None until the final one has been read; interim ones (1xx) are swallowed. `complete`: the message has ended.
    `persistent`: the connection can carry another exchange after it.
    """

    __slots__ = ("_chunked", "_extra", "_head_only", "_interim", "_left", "_overhead", "_pending", "_pieces", "complete",
                 "head", "persistent")  # fmt: skip

    def __init__(self, method: str) -> None:
        self.head: ResponseHead | None = None
        self.complete = False
        self.persistent = False
        self._head_only = method == "HEAD"
        self._pending = b""
        self._interim = 0
        self._left: int | None = None
        self._chunked: HttpResponseParser | None = None
        self._pieces: list[bytes] = []
        self._overhead = 0
        self._extra = False

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Read on; the pieces of the body that `data` held. Raises InvalidResponse."""
        if self.head is None:
            data = self._read_heads(data)
            if not data:
                return ()
        if self.complete:
            raise InvalidResponse("bytes follow the end of the message")
        if self._chunked is not None:
            return self._read_chunks(self._chunked, data)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise InvalidResponse("the body is longer than its Content-Length")
            self.complete = self._left == 0
        return (data,)

    def end(self) -> bool:
        """The connection has ended; whether that was the message's end (RFC 9112, 6.3: neither length nor coding)."""
        if self.head is not None and self._left is None and self._chunked is None:
            self.complete = True
        return self.complete

    # The head

    def _read_heads(self, data: bytes) -> bytes:
        """Read interim heads and the final one; what follows them. Nothing, as long as the final one is not whole."""
        if self._pending:
            data = self._pending + data
        while True:
            end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
            if end < 0:
                check_beginning(data)
                self._pending = data
                return b""
            head, data = read_response_head(data[: end + 4]), data[end + 4 :]
            if head.status >= 200:
                self._pending = b""
                self.head = head
                self._frame(head)
                return data
            if self._interim == MAX_INTERIM:
                raise InvalidResponse(f"more than {MAX_INTERIM} interim heads")
            self._interim += 1

    def _frame(self, head: ResponseHead) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection goes on after it."""
        self.persistent = head.persistent
        if self._head_only or head.length == 0:
            self.complete = True
        elif head.chunked:
            # What follows is read by the parser from its beginning, which it has to see.
            self._chunked = HttpResponseParser(self)
            self._chunked.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._extra = False
        elif head.length is not None:
            self._left = head.length
        else:
            self.persistent = False

    # A chunked body

    def _read_chunks(self, parser: HttpResponseParser, data: bytes) -> Sequence[bytes]:
        pieces: list[bytes] = []
        self._pieces = pieces
        try:
            parser.feed_data(data)
        except HttpParserError as error:
            raise InvalidResponse(str(error)) from None
        if self._extra:
            raise InvalidResponse("bytes follow the end of the message")
        # Trailers and chunk extensions go nowhere, so nothing else would bound them.
        self._overhead = 0 if pieces else self._overhead + len(data)
        if self._overhead > MAX_HEAD:
            raise InvalidResponse("trailers or chunk extensions without end")
        return (b"".join(pieces),) if len(pieces) > 1 else pieces

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        self._extra = self.head is not None

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True
