"""ASGI applications behind our own protocol: the request that was read becomes a scope, and is never read again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import SHUTTING_DOWN, Refused

from .answer import date
from .connection import ClientConnection
from .head import Head
from .request import EXTENSION, Told

_log = logging.getLogger("tenantgate.asgi")


class AsgiServer:
    """Serves every request of a listener by an application. `body_idle` is in seconds."""

    def __init__(self, app: ASGIApp, body_idle: float) -> None:
        self._app = app
        self.body_idle = body_idle

    def recall(self, connection: ClientConnection, block: bytes) -> None:
        return None

    def serve(self, connection: ClientConnection, head: Head, body: bytes | None, block: bytes) -> AsgiRequest:
        return AsgiRequest(connection, head, body, self._app)


class AsgiRequest:
    """One request to one application, in a task of its own. Where the application fails, or ends without an answer, the
    connection is dropped."""

    def __init__(
        self,
        connection: ClientConnection,
        head: Head,
        body: bytes | None,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
    ) -> None:
        self._connection: ClientConnection | None = connection
        self._told = Told(head.target, self._abort, head.fault)
        self._scope = _scope(connection, head, self._told)
        self._pieces: deque[bytes] = deque(() if body is None else (body,))
        self._is_whole = body is not None
        self._was_told = False
        self._left: int | None = None
        self._news, self._writable = asyncio.Event(), asyncio.Event()
        self._writable.set()
        self._task = connection.loop.create_task(self._run(app))
        connection.server_state.tasks.add(self._task)
        self._task.add_done_callback(connection.server_state.tasks.discard)

    async def _run(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            _log.exception("an application failed")
        finally:
            self._abort()

    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
            self._news.set()

    # Handler

    def body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if self._connection is not None:
            self._connection.pause_body()
        self._news.set()

    def end(self) -> None:
        self._is_whole = True
        self._news.set()

    def broken(self, refused: Refused) -> None:
        if refused.problem is SHUTTING_DOWN:
            # Not before it has begun, or nobody would settle what it was handed.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        else:
            self._told.fault = refused
            self._news.set()

    def gone(self) -> None:
        self._connection = None
        self._news.set()
        self._writable.set()

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    # The application's side

    async def _receive(self) -> Message:
        """Raises Refused where the rest of the message is broken."""
        while True:
            if self._pieces:
                piece = self._pieces.popleft()
                self._was_told = self._is_whole and not self._pieces
                return {"type": "http.request", "body": piece, "more_body": not self._was_told}
            if self._told.fault is not None:
                raise self._told.fault
            if self._connection is None:
                return {"type": "http.disconnect"}
            if self._is_whole and not self._was_told:
                self._was_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            self._news.clear()
            if not self._is_whole:
                self._connection.resume_body()
            await self._news.wait()

    async def _send(self, message: Message) -> None:
        """What is sent to a client that has gone goes nowhere, as the specification wants it."""
        connection = self._connection
        if connection is None:
            return
        if message["type"] == "http.response.start":
            self._start(connection, message)
            return
        piece: bytes = message.get("body", b"")
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                self._abort()
                return
        if message.get("more_body", False):
            connection.write(piece)
            await self._writable.wait()
        elif self._left:
            self._abort()  # Another length than was said: the client would take what follows for a part of it.
        else:
            self._connection = None
            self._news.set()
            connection.finish(piece)

    def _start(self, connection: ClientConnection, message: Message) -> None:
        fields = [(name, value) for name, value in message["headers"] if name.lower() != b"connection"]
        if len(fields) != len(message["headers"]):
            connection.outgoing.persistent = False
        if all(name.lower() != b"date" for name, _ in fields):
            fields.append((b"date", date()))
        lengths = [value for name, value in fields if name.lower() == b"content-length"]
        if lengths and not (self._scope["method"] == "HEAD" or message["status"] in (204, 304)):
            self._left = int(lengths[0])
        connection.start(message["status"], fields, sized=bool(lengths))


def _scope(connection: ClientConnection, head: Head, told: Told) -> Scope:
    path, _, query = head.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1" if head.current else "1.0",
        "method": head.method,
        "scheme": connection.scheme,
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(head.fields),
        "client": connection.remote,
        "server": connection.local,
        "state": dict(connection.app_state),
        "extensions": {EXTENSION: told},
    }
