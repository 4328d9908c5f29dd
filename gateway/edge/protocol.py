"""uvicorn's HTTP protocol, with what a stock server takes away given back, and with a refusal for what it would let pass.

A server that has parsed the target cannot be asked what was sent: it cuts off an empty query and a fragment. Trailers are
dropped, since uvicorn would add them to the headers while the application runs.

A message that is broken becomes a request with a fault, which the application refuses: so it is logged and counted, and
answered when its turn has come, after those before it on the connection. Nothing is read from the connection after it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.errors import BAD_REQUEST, HEADERS_TOO_LARGE, REQUEST_TIMEOUT, Refused

from .handshake import check_handshake
from .request import EXTENSION, Told

HEAD_WITHIN = 10.0
"""Seconds that a head may take, from its first byte, or from the connection's beginning."""

# Seconds for which a kept connection may still bring a request after the gateway has been told to stop: its client can't know
# yet, and would take the end for a failure.
_LAST_CALL = 0.5

# What no callback tells of (a header that doesn't end, chunk extensions, trailers) may have this many bytes at a time, and as
# many more as go with small chunks.
_MAX_OVERHEAD = 64 << 10
_OVERHEAD_PER_BYTE = 16


class GatewayProtocol(HttpToolsProtocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.app = _interruptible(self.app)
        self._told = Told(b"", lambda: None)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_broken = False
        self._is_ending = False
        self._in_head = False
        self._in_body = False
        self._to_websocket = False
        self._upgrade_ignored = False
        self._resuming = False
        # Of the bytes that are being fed
        self._saw_boundary = False
        self._body_bytes = 0
        self._overhead = 0

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_head()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._is_ending = True
        if self._is_answering():
            super().shutdown()
        else:
            self.loop.call_later(_LAST_CALL, super().shutdown)

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        self._unset_keepalive_if_required()
        self._saw_boundary, self._body_bytes = False, 0
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._break(Refused(BAD_REQUEST, "The request is not well-formed HTTP/1.1."))
            return
        self._overhead = 0 if self._saw_boundary else max(0, self._overhead + len(data) - _OVERHEAD_PER_BYTE * self._body_bytes)
        if self._overhead > _MAX_OVERHEAD:
            problem = BAD_REQUEST if self._in_body else HEADERS_TOO_LARGE
            self._break(Refused(problem, f"More than {_MAX_OVERHEAD} bytes of headers, trailers or chunk extensions."))
        elif not self._is_answering():
            self._watch_head()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._to_websocket:
                self.handle_websocket_upgrade()
            elif self._upgrade_ignored:
                self._read_on(data[upgrade.args[0] :])

    def _read_on(self, rest: bytes) -> None:
        """The parser stops at a head that asks for an upgrade. It is ignored (RFC 9110, 7.8), so a body may follow, and
        other requests: a parser that has been told of the same framing reads them."""
        framing = [b"%s: %s\r\n" % field for field in self.headers if field[0] in (b"content-length", b"transfer-encoding")]
        self._upgrade_ignored = False
        self.parser = httptools.HttpRequestParser(self)
        self._resuming = True
        self.parser.feed_data(b"".join([b"POST / HTTP/1.1\r\n", *framing, b"\r\n"]))
        self._resuming = False
        if rest:
            self._feed(rest)

    def handle_websocket_upgrade(self) -> None:
        self._unwatch_head()
        self.app_state = {**self.app_state, EXTENSION: self._told}
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_head:
            self._unset_keepalive_if_required()
            self._watch_head()

    # Broken messages

    def _break(self, refused: Refused) -> None:
        self._is_broken = True
        self._unwatch_head()
        if self.transport.is_closing():
            return
        if self._in_body:
            self._told.fault = refused
            self.cycle.message_event.set()
            return
        method = self.parser.get_method().decode("ascii") if self._in_head and self.url else "GET"
        super().on_message_begin()
        self._begin(b"/", refused)
        self.scope["method"] = method

    def _begin(self, target: bytes, fault: Refused | None) -> None:
        self._told = Told(target, self.transport.abort, fault)
        self.scope["extensions"] = {EXTENSION: self._told}  # type: ignore[dict-item]  # uvicorn has extensions be mappings
        # uvicorn would raise where it can't read a target; the walk reads the raw one alone, and refuses it with a reason.
        self.url = target if _is_readable(target) else b"/"
        super().on_headers_complete()
        self.url = target
        if self._is_ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def _watch_head(self) -> None:
        if self._head_timer is None and not self._in_body and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_WITHIN, self._head_is_late)

    def _unwatch_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._break(Refused(REQUEST_TIMEOUT, f"The head of a request has to come within {HEAD_WITHIN:g} s."))
        else:
            self.transport.close()

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        self._saw_boundary = self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._resuming:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        self._unwatch_head()
        self._in_head, self._in_body = False, True
        version, method = self.parser.get_http_version(), self.parser.get_method()
        wants_upgrade = self.parser.should_upgrade()
        wants_websocket = wants_upgrade and self._get_upgrade() == b"websocket"
        fault = None
        try:
            _check_version(version, self.headers)
            if wants_websocket:
                check_handshake(method, version, self.headers)
                if self._is_answering():
                    raise Refused(BAD_REQUEST, "A WebSocket handshake waits for the answer to the request before it.")
        except Refused as refused:
            fault = refused
        self._to_websocket = wants_websocket and fault is None and _is_readable(self.url)
        self._upgrade_ignored = wants_upgrade and not self._to_websocket
        self._begin(self.url, fault)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        # The parser takes a head that asks for an upgrade for the whole message.
        if not self._upgrade_ignored:
            self._saw_boundary, self._in_body = True, False
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return self._to_websocket


def _check_version(version: str, fields: list[tuple[bytes, bytes]]) -> None:
    if version not in ("1.1", "1.0"):
        raise Refused(BAD_REQUEST, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    # RFC 9112, 6.1: such a message may have been framed by one who didn't know the coding.
    if version == "1.0" and any(name == b"transfer-encoding" for name, _ in fields):
        raise Refused(BAD_REQUEST, "Transfer-Encoding does not exist in HTTP/1.0.")


def _interruptible(app: ASGIApp) -> ASGIApp:
    """Whoever waits for the body of a message is told when the rest of it is broken."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        told: Told = scope["extensions"][EXTENSION]

        async def receive_or_raise() -> Message:
            message = await receive()
            if told.fault is not None:
                raise told.fault
            return message

        await app(scope, receive_or_raise, send)

    return run


def _is_readable(target: bytes) -> bool:
    try:
        return target.isascii() and httptools.parse_url(target).path is not None
    except httptools.HttpParserInvalidURLError:
        return False
