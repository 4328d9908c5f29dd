"""The chunked coding (RFC 9112, 7.1), read strictly and bounded. Extensions and trailers go nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.errors import BAD_REQUEST, Refused

# The size, and extensions that can be told from it by every reader. 15 digits are more than anybody sends, and no overflow.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_LONGEST_LINE = 256
_MAX_TRAILERS = 8 << 10


class Chunks:
    """The body of one message. `complete`: it has ended; `rest` is then what follows it on the connection."""

    def __init__(self) -> None:
        self.complete = False
        self.rest = b""
        self._left = 0
        self._in_chunk = False
        self._in_trailers = False
        self._trailers = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Read on; the pieces of the body that are in `data`, each as soon as it is read. Raises Refused(BAD_REQUEST)."""
        data = self.rest + data
        at = 0
        while not self.complete:
            if self._left:
                piece = data[at : at + self._left]
                if not piece:
                    break
                at += len(piece)
                self._left -= len(piece)
                yield piece
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                if len(data) - at > _LONGEST_LINE and not self._in_trailers:
                    raise Refused(BAD_REQUEST, f"The size of a chunk takes more than {_LONGEST_LINE} bytes.")
                self._check_beginning(data[at:])
                break
            self._read_line(data[at:end])
            at = end + 2
        self.rest = data[at:]

    def _read_line(self, line: bytes) -> None:
        if self._in_chunk:
            if line:
                raise Refused(BAD_REQUEST, "A chunk is longer than its size.")
            self._in_chunk = False
        elif self._in_trailers:
            self._read_trailer(line)
        else:
            size = _SIZE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
            if size is None:
                raise Refused(BAD_REQUEST, "The size of a chunk is not a plain hexadecimal number.")
            self._left = int(size[1], 16)
            self._in_chunk, self._in_trailers = self._left > 0, self._left == 0

    def _read_trailer(self, line: bytes) -> None:
        self._trailers += len(line) + 2
        if not line:
            self.complete = True
        elif self._trailers > _MAX_TRAILERS or _TRAILER.fullmatch(line) is None:
            raise Refused(BAD_REQUEST, f"A trailer is not well formed, or they have more than {_MAX_TRAILERS} bytes.")

    def _check_beginning(self, data: bytes) -> None:
        """`data` is a line that has not ended. What can't become good is refused at once, not when the client gives up."""
        if len(data) + self._trailers > _MAX_TRAILERS or b"\n" in data or (self._in_chunk and data not in (b"", b"\r")):
            raise Refused(BAD_REQUEST, "A chunk, or a trailer, is not well formed.")
