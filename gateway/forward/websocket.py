"""WebSocket (RFC 6455): two connections, and messages handed from one to the other.

Each side is a WebSocket of its own: pings are answered at each, neither is compressed toward the upstream, and a message has at
most 1 MiB. There is no limit to how long both may be silent; but what one side doesn't take stops the other from being read,
and ends the tunnel where that lasts longer than the upstream's `idle` timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from gateway.errors import UPSTREAM_CLOSED, UPSTREAM_INVALID_RESPONSE, UPSTREAM_TIMEOUT, Refused

from .exchange import Fields, OutboundHead, request_head
from .headers import inbound
from .pool import Upstreams

MAX_MESSAGE = 1 << 20
_MAX_QUEUE = 4  # frames
_CODE_WAIT = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class UpgradeRefused:
    """What the upstream answered in place of the upgrade; to be given to the client as it is. The hop's headers are gone."""

    status: int
    headers: Fields
    body: bytes


async def tunnel(
    scope: Scope,
    receive: Receive,
    send: Send,
    upstreams: Upstreams,
    upstream: str,
    head: OutboundHead,
    answer_headers: Mapping[str, str],
    counted: Callable[[], Awaitable[None]],
) -> UpgradeRefused | None:
    """Connect the client of an ASGI `websocket` scope, not yet accepted, with the upstream; returns when either has gone.

    `answer_headers` are ours, for the answer to the handshake, which is given when `counted` has returned.
    Raises Refused (UPSTREAM_*) as long as nothing was answered.
    """
    timeouts, client = upstreams.timeouts(upstream), _Client(head, scope.get("subprotocols", ()))
    async with upstreams.tunnel(upstream, partial(ClientConnection, client, max_queue=_MAX_QUEUE)) as connection:
        try:
            refused = await _shake_hands(connection, client, timeouts.first_byte)
            if refused is not None:
                return refused
            await counted()
            await receive()  # websocket.connect
            with suppress(OSError):  # the client has gone
                await send(_accept(connection, answer_headers))
                connection.start_keepalive()
                await _relay(receive, send, connection, timeouts.idle)
        finally:
            connection.transport.abort()
    return None


class _Client(ClientProtocol):
    """Sends our own head, so that the target goes out byte for byte, and closes without a code where the client gave none."""

    def __init__(self, head: OutboundHead, subprotocols: Iterable[str]) -> None:
        offered = [Subprotocol(name) for name in subprotocols]
        # The address serves for a request that is never sent.
        super().__init__(WebSocketURI(False, "", 80, "/", ""), subprotocols=offered or None, max_size=MAX_MESSAGE)
        self.was_answered = False
        self._opening = request_head("GET", head.target, [*_without_handshake(head.headers), *self._handshake(offered)])

    def _handshake(self, offered: list[Subprotocol]) -> Iterable[tuple[bytes, bytes]]:
        yield b"Connection", b"Upgrade"
        yield b"Upgrade", b"websocket"
        yield b"Sec-WebSocket-Version", b"13"
        yield b"Sec-WebSocket-Key", self.key.encode("ascii")
        if offered:
            yield b"Sec-WebSocket-Protocol", ", ".join(offered).encode("latin-1")

    def receive_data(self, data: bytes | bytearray) -> None:
        self.was_answered = True
        super().receive_data(data)

    def send_request(self, request: Request) -> None:
        self.writes.append(self._opening)

    def send_close(self, code: CloseCode | int | None = None, reason: str = "") -> None:
        if code in _UNSENDABLE:
            code, reason = None, ""
        super().send_close(code, reason)


# RFC 6455, 7.4.1: never in a frame. They stand for a close without a code, and for none at all.
_UNSENDABLE = frozenset({CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE})


async def _shake_hands(connection: ClientConnection, client: _Client, wait: float) -> UpgradeRefused | None:
    try:
        async with asyncio.timeout(wait):
            await connection.handshake(user_agent_header=None)
    except TimeoutError:
        raise Refused(UPSTREAM_TIMEOUT, "The upstream did not answer in time.") from None
    except InvalidStatus as error:
        response = error.response
        body = bytes(response.body or b"")
        fields = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.headers.raw_items()]
        kept = [field for field in inbound(fields) if field[0] != b"content-length"]
        return UpgradeRefused(response.status_code, [*kept, (b"content-length", b"%d" % len(body))], body)
    except InvalidMessage:
        if not client.was_answered:
            raise Refused(UPSTREAM_CLOSED, "The connection was closed before the response was complete.") from None
        raise Refused(UPSTREAM_INVALID_RESPONSE, "The response is not well-formed HTTP/1.1.") from None
    except InvalidHandshake:
        raise Refused(UPSTREAM_INVALID_RESPONSE, "The upstream's handshake is not that of a WebSocket.") from None
    return None


def _accept(connection: ClientConnection, answer_headers: Mapping[str, str]) -> Message:
    response = connection.response
    assert response is not None
    fields = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.headers.raw_items()]
    ours = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer_headers.items()]
    replaced = {name for name, _ in ours}
    kept = [field for field in _without_handshake(inbound(fields)) if field[0] not in replaced]
    return {"type": "websocket.accept", "subprotocol": connection.subprotocol, "headers": [*kept, *ours]}


async def _relay(receive: Receive, send: Send, connection: ClientConnection, stall: float) -> None:
    """Hand messages on both ways until either side has gone, and tell the other one."""
    up = asyncio.ensure_future(_to_upstream(receive, connection, stall))
    down = asyncio.ensure_future(_to_client(connection, send, stall))
    try:
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        if down.done() and not up.done():
            # Where the client has gone, it may still be told with what code.
            await asyncio.wait([up], timeout=_CODE_WAIT)
    finally:
        for direction in (up, down):
            direction.cancel()
        await asyncio.wait([up, down])
    for direction in (down, up):
        if not direction.cancelled():
            direction.result()
    code, reason = (CloseCode.NO_STATUS_RCVD, "") if up.cancelled() else up.result()
    await connection.close(code, reason)


async def _to_upstream(receive: Receive, connection: ClientConnection, stall: float) -> tuple[int, str]:
    """Returns how the client has closed."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return message.get("code") or CloseCode.NO_STATUS_RCVD, message.get("reason") or ""
        data = message.get("bytes")
        try:
            async with asyncio.timeout(stall):
                await connection.send(message["text"] if data is None else data)
        except ConnectionClosed:
            continue  # the client is being told
        except TimeoutError:
            return CloseCode.GOING_AWAY, ""


async def _to_client(connection: ClientConnection, send: Send, stall: float) -> None:
    # OSError: the client has gone or takes nothing. RuntimeError: so a server says that it has closed of its own accord.
    with suppress(OSError, RuntimeError):
        try:
            while True:
                data = await connection.recv()
                async with asyncio.timeout(stall):
                    await send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        except ConnectionClosed:
            code, reason = _closing(connection)
            await send({"type": "websocket.close", "code": code, "reason": reason})


def _closing(connection: ClientConnection) -> tuple[int, str]:
    """How the client is told that the upstream has gone. An end without the closing handshake is no good end."""
    protocol = connection.protocol
    close = protocol.close_rcvd if protocol.close_rcvd_then_sent else protocol.close_sent
    if close is None:
        return CloseCode.BAD_GATEWAY, ""
    if close.code in _UNSENDABLE:
        return CloseCode.NORMAL_CLOSURE, ""
    return close.code, close.reason


def _without_handshake(fields: Fields) -> list[tuple[bytes, bytes]]:
    return [field for field in fields if not field[0].lower().startswith(b"sec-websocket-")]
