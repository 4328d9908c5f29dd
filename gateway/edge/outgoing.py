"""One answer as bytes (RFC 9112, 6 and 7). No sockets."""

from __future__ import annotations

from http import HTTPStatus

from .head import Head

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus}

Fields = list[tuple[bytes, bytes]]


class Outgoing:
    """The answer to the request of `head`. `persistent`: the connection goes on after it. `ends_with_connection`: nothing else
    tells the client where its body ends."""

    __slots__ = (
        "_asks_head",
        "_bodiless",
        "_chunked",
        "_is_current",
        "_started",
        "_waits",
        "ends_with_connection",
        "persistent",
    )

    def __init__(self, head: Head, *, is_last: bool = False) -> None:
        # The head itself holds the client's secrets, and a kept connection may be idle for long.
        self._asks_head, self._is_current = head.method == "HEAD", head.current
        self._chunked = self._bodiless = False
        self._started = self.ends_with_connection = False
        self._waits = head.continues
        self.persistent = head.persistent and head.fault is None and not is_last

    def interim(self) -> bytes:
        """What a client is told that waits before it sends the body (RFC 9110, 10.1.1), once."""
        waits, self._waits = self._waits and not self._started, False
        return b"HTTP/1.1 100 Continue\r\n\r\n" if waits else b""

    def start(self, status: int, fields: Fields, *, sized: bool) -> bytes:
        """The head. `fields` name no framing but `Content-Length`; `sized`: they do, or there is no body."""
        self._started = True
        self._bodiless = self._asks_head or status in (204, 304)
        line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        lines = [*map(b": ".join, fields)]
        if not (sized or self._bodiless):
            if self._is_current:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked")
            else:
                self.persistent, self.ends_with_connection = False, True
        if not self.persistent:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        return line + b"\r\n".join(lines)

    def piece(self, data: bytes) -> bytes:
        """A piece of the body."""
        if self._bodiless or not data:
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def last(self, data: bytes) -> bytes:
        """The last piece, which may be empty, and the end."""
        return self.piece(data) + b"0\r\n\r\n" if self._chunked and not self._bodiless else self.piece(data)
