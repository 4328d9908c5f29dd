"""A client's end of HTTP/1.1: one request at a time, its answer read and not kept."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from .request import Request

_CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_LONGEST_REFUSAL = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """`seconds` until its last byte. `code` and `detail` are those of a problem document (RFC 9457), else empty. `persistent`:
    the connection takes another request."""

    status: int
    seconds: float
    code: str = ""
    detail: str = ""
    persistent: bool = True


class Connection(asyncio.Protocol):
    """`ended` is called once for each request: with its answer, or with the reason why there is none."""

    def __init__(self, request: Request, ended: Callable[[Answer | str], None]) -> None:
        self._request = request
        self._ended = ended
        self._busy = self._complete = False
        self._sent_at = 0.0
        self._refusal = b""
        self._parser = HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by name.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._end("the connection was closed before the answer was complete")

    def send(self) -> None:
        self._busy, self._complete, self._refusal = True, False, b""
        if self._transport.is_closing():
            self._end("the connection was closed between two requests")
            return
        self._parser = HttpResponseParser(self)
        self._sent_at = time.perf_counter()
        self._transport.write(self._request.bytes)

    def close(self) -> None:
        self._busy = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._end("the answer is not well-formed HTTP/1.1")
            return
        if self._complete:
            self._end(self._answer())

    # Called by the parser

    def on_headers_complete(self) -> None:
        # The parser does not know that such an answer has no body.
        if self._request.method == "HEAD":
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        if self._parser.get_status_code() >= 300 and len(self._refusal) < _LONGEST_REFUSAL:
            self._refusal += body

    def on_message_complete(self) -> None:
        # Others announce that the answer is still to come.
        self._complete = self._parser.get_status_code() >= 200

    def _answer(self) -> Answer:
        seconds, persistent = time.perf_counter() - self._sent_at, self._parser.should_keep_alive()
        code, detail = problem(self._refusal) if self._refusal else ("", "")
        return Answer(self._parser.get_status_code(), seconds, code, detail, persistent)

    def _end(self, answer: Answer | str) -> None:
        if self._busy:
            self._busy = False
            self._ended(answer)


def problem(document: bytes) -> tuple[str, str]:
    """Code and detail of a problem document; empty where it is none."""
    try:
        told = json.loads(document)
    except ValueError:
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    code, detail = told.get("code"), told.get("detail")
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        return "", ""
    return code, detail if isinstance(detail, str) else ""
