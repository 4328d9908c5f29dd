"""Reads one response strictly (RFC 9112): where two readers could disagree about where it ends, it is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from httptools import HttpParserError, HttpResponseParser

from gateway.pipeline.grammar import PLAIN_LINES, TOKEN
from gateway.pipeline.memo import Verdicts

MAX_HEAD = 64 << 10
MAX_HEADERS = 200
MAX_INTERIM = 100
"""Interim heads (1xx) before the final one."""

_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_STATUS = re.compile(rb"[1-5][0-9]{2}")
_LONGEST_LENGTH = 18  # digits


class InvalidResponse(Exception):
    """The upstream's bytes are not one well-formed response. The text says why and quotes nothing of them."""


class ResponseReader:
    """Takes the bytes that a connection receives after one request; knows no sockets.

    `status` is 0 until the final head has been read; interim ones (1xx) are swallowed. `headers` are in order, names in lower
    case. `complete`: the message has ended. `persistent`: the connection can carry another exchange after it.
    """

    __slots__ = ("_chunked", "_extra", "_head_only", "_interim", "_left", "_overhead", "_pending", "_pieces", "complete",
                 "headers", "persistent", "status")  # fmt: skip

    def __init__(self, method: str) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
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
        if not self.status:
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
        if self.status and self._left is None and self._chunked is None:
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
                _check_beginning(data)
                self._pending = data
                return b""
            head, data = data[: end + 4], data[end + 4 :]
            self._read_head(head)
            if self.status:
                self._pending = b""
                return data

    def _read_head(self, head: bytes) -> None:
        """RFC 9112, 4 and 5."""
        _check_beginning(head)
        line, *lines = head[:-4].split(b"\r\n")
        words = line.split(b" ", 2)
        if len(words) < 2 or _STATUS.fullmatch(words[1]) is None or _holds_controls(head):
            raise InvalidResponse("the status line is not well formed, or there is a control character in the head")
        status = int(words[1])
        if status == 101:
            raise InvalidResponse("status 101 answers nothing that was asked")
        if len(lines) > MAX_HEADERS:
            raise InvalidResponse(f"more than {MAX_HEADERS} headers")
        self.headers = headers = []
        for text in lines:
            name, colon, value = text.partition(b":")
            if not colon or not _IS_TOKEN[name]:
                raise InvalidResponse("a header is folded, or its name is not a token")
            headers.append((name.lower(), value.strip(b" \t")))
        if status >= 200:
            self.status = status
            self._frame(head)
        elif self._interim == MAX_INTERIM:
            raise InvalidResponse(f"more than {MAX_INTERIM} interim heads")
        else:
            self._interim += 1

    def _frame(self, head: bytes) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection goes on after it (9.3)."""
        lengths, codings, closes, is_current = [], [], False, head.startswith(b"HTTP/1.1")
        for name, value in self.headers:
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
            elif name == b"connection" and b"close" in [option.strip().lower() for option in value.split(b",")]:
                closes = True
        if len(lengths) + len(codings) > 1:
            raise InvalidResponse("the body's length is given twice")
        if codings and (not is_current or codings[0].lower() != b"chunked"):
            raise InvalidResponse("a transfer coding other than chunked")
        if lengths and (not lengths[0].isdigit() or len(lengths[0]) > _LONGEST_LENGTH):
            raise InvalidResponse("Content-Length is not a plain number")
        self.persistent = is_current and not closes
        if self._head_only or self.status in (204, 304):
            self.complete = True
        elif codings:
            # What follows is read by the parser from its beginning, which it has to see.
            self._chunked = HttpResponseParser(self)
            self._chunked.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._extra = False
        elif lengths:
            self._left = int(lengths[0])
            self.complete = self._left == 0
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
        self._extra = self.status != 0

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = True


def _holds_controls(head: bytes) -> bool:
    return bool(head.translate(None, PLAIN_LINES)) or head.count(b"\r") != head.count(b"\r\n")


_IS_TOKEN = Verdicts(lambda name: TOKEN.fullmatch(name) is not None)


def _check_beginning(data: bytes) -> None:
    """`data` is a head, or its beginning. Raises InvalidResponse as early as that can be known."""
    if not data.startswith(_VERSIONS) and (len(data) > 8 or not _VERSIONS[0].startswith(data[:7])):
        raise InvalidResponse("not HTTP/1.1 or HTTP/1.0")
    if len(data) > MAX_HEAD:
        raise InvalidResponse(f"a head of more than {MAX_HEAD} bytes")
    if data.count(b"\n") != data.count(b"\r\n") or b"\0" in data:
        raise InvalidResponse("a bare line feed or a NUL in the head")
