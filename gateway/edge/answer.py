"""The answer on its way out: every one carries the request id, and every refusal is a problem document (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from math import ceil
from time import time

from starlette.types import Message, Scope, Send

from gateway.errors import (
    BAD_PATH,
    BAD_REQUEST,
    DUPLICATE_HEADER,
    HEADERS_TOO_LARGE,
    LOOKALIKE_HEADER,
    REQUEST_TIMEOUT,
    TARGET_TOO_LONG,
    Refused,
)

from .body import Body, ClientGone

Fields = Sequence[tuple[bytes, bytes]]

# Whoever sends these may understand the rest of the connection differently too.
_LAST_WORDS = frozenset(
    {BAD_PATH, BAD_REQUEST, DUPLICATE_HEADER, HEADERS_TOO_LARGE, LOOKALIKE_HEADER, REQUEST_TIMEOUT, TARGET_TOO_LONG}
)


def problem_document(refused: Refused, request_id: str) -> bytes:
    """RFC 9457. `detail` says what was wrong here, then what to do next."""
    problem = refused.problem
    return json.dumps(
        {
            "title": problem.title,
            "status": problem.status,
            "code": problem.code,
            "detail": f"{refused.detail} {problem.advice}".strip(),
            "request_id": request_id,
            **refused.members,
        }
    ).encode()


def refusal_headers(refused: Refused) -> Iterable[tuple[str, str]]:
    yield "Content-Type", "application/problem+json"
    yield "Cache-Control", "no-store"
    if refused.retry_after is not None:
        yield "Retry-After", str(max(1, ceil(refused.retry_after)))
    yield from refused.headers


def answer_fields(fields: Fields, extra: Mapping[str, str], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, framing left out. `fields` as they come from an upstream, names in lower case; `extra` are ours
    and replace those of the same name. `Vary` adds up, and an upstream's `Date` stays (RFC 9110, 6.6.1)."""
    ours = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in extra.items()}
    if b"vary" in ours:
        ours[b"vary"] = b", ".join([value for name, value in fields if name == b"vary"] + [ours[b"vary"]])
    ours[b"x-request-id"] = request_id.encode("latin-1")
    headers = [field for field in fields if field[0] not in ours]
    headers += ours.items()
    if all(name != b"date" for name, _ in fields):
        headers.append((b"date", date()))
    return headers


def field_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Headers of ours as they stand in an answer, each with its end."""
    return "".join([f"{name.lower()}: {value}\r\n" for name, value in headers]).encode("latin-1")


def date() -> bytes:
    """The present second, as `Date` has it."""
    return _date(int(time()))


@lru_cache(1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def refusal(refused: Refused, request_id: str, *, head_only: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the problem document."""
    document = b"" if head_only else problem_document(refused, request_id)
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal_headers(refused)]
    if not head_only:
        fields.append((b"content-length", str(len(document)).encode()))
    return fields, document


def is_last_word(refused: Refused) -> bool:
    """Whether the connection ends with this refusal."""
    return refused.problem in _LAST_WORDS


class Answer:
    """One answer to one request. Knows what it has sent, for the log and for what may still be said.

    An answer that starts before `request_body` has been read closes the connection: what follows on it is not a request.
    The refusal of a request that is not well formed closes it too.
    """

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._send = send
        self._websocket = scope["type"] == "websocket"
        self.head_only = scope.get("method") == "HEAD"
        self.request_id = request_id
        self.request_body: Body | None = None
        self.status = 0
        self.sent = 0
        self.started = False
        self.complete = False

    async def start(self, status: int, fields: Fields, extra: Mapping[str, str]) -> None:
        """`fields` and `extra` as in `answer_fields`."""
        headers = answer_fields(fields, extra, self.request_id)
        if not self._websocket and (self.request_body is None or not self.request_body.complete):
            headers = [field for field in headers if field[0] != b"connection"] + [(b"connection", b"close")]
        self.started, self.status = True, status
        await self._emit({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, piece: bytes, *, more: bool) -> None:
        self.sent += len(piece)
        self.complete = not more
        await self._emit({"type": "http.response.body", "body": piece, "more_body": more})

    async def refuse(self, refused: Refused, extra: Mapping[str, str]) -> None:
        fields, document = refusal(refused, self.request_id, head_only=self.head_only)
        if is_last_word(refused) and not self._websocket:
            extra = {**extra, "Connection": "close"}
        await self.start(refused.problem.status, fields, extra)
        await self.body(document, more=False)

    def sending(self, extra: Mapping[str, str]) -> Send:
        """The `send` of an ASGI application that answers in our place, with `extra` as in `answer_fields`."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.start(message["status"], [(name.lower(), value) for name, value in message["headers"]], extra)
            else:
                await self.body(message.get("body", b""), more=message.get("more_body", False))

        return send

    async def _emit(self, message: Message) -> None:
        if self._websocket:
            message = {**message, "type": "websocket." + message["type"]}
        try:
            await self._send(message)
        except OSError as lost:
            raise ClientGone from lost
