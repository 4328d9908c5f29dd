"""Reads one response strictly (RFC 9112): where two readers could disagree about where it ends, it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD = 64 << 10
MAX_HEADERS = 200

_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_LONGEST_LENGTH = 18  # digits


class InvalidResponse(Exception):
    """The upstream's bytes are not one well-formed response. The text says why and quotes nothing of them."""


class ResponseReader:
    """Takes the bytes that a connection receives after one request; knows no sockets.

    `status` is 0 until the final head has been read; interim ones (1xx) are swallowed. `headers` are in order, names in lower
    case. `complete`: the message has ended. `persistent`: the connection can carry another exchange after it.
    """

    __slots__ = ("_chunked", "_extra", "_head_only", "_left", "_overhead", "_pending", "_pieces", "complete", "headers",
                 "persistent", "status")  # fmt: skip

    def __init__(self, method: str) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.persistent = False
        self._head_only = method == "HEAD"
        self._pending = b""
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
        """httptools parses names and values; what it lets pass is checked here."""
        _check_beginning(head)
        if b"\r\n " in head or b"\r\n\t" in head:
            raise InvalidResponse("a header is folded")
        self.headers = []
        parser = HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except HttpParserError as error:
            raise InvalidResponse(str(error)) from None
        except HttpParserUpgrade:
            raise InvalidResponse("a change of protocol was not asked for") from None
        status = parser.get_status_code()
        if status == 101 or not 100 <= status <= 599:
            raise InvalidResponse(f"status {status} answers nothing that was asked")
        if len(self.headers) > MAX_HEADERS:
            raise InvalidResponse(f"more than {MAX_HEADERS} headers")
        if status >= 200:
            self.status = status
            self._frame(parser, head.startswith(b"HTTP/1.1"))

    def _frame(self, parser: HttpResponseParser, is_current: bool) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection goes on after it (9.3)."""
        lengths, codings, closes = [], [], False
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
            self._chunked = parser
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
        return pieces

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        self._extra = self.status != 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        # Also called by httptools at the end of a head that it takes for the whole message; `_frame` decides about those.
        if self.status:
            self.complete = True


def _check_beginning(data: bytes) -> None:
    """`data` is a head, or its beginning. Raises InvalidResponse as early as that can be known."""
    if not data.startswith(_VERSIONS) and (len(data) > 8 or not _VERSIONS[0].startswith(data[:7])):
        raise InvalidResponse("not HTTP/1.1 or HTTP/1.0")
    if len(data) > MAX_HEAD:
        raise InvalidResponse(f"a head of more than {MAX_HEAD} bytes")
    if data.count(b"\n") != data.count(b"\r\n") or b"\0" in data:
        raise InvalidResponse("a bare line feed or a NUL in the head")
