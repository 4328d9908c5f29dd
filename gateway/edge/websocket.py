"""uvicorn's WebSocket protocol, without what it writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from .head import Head
from .request import EXTENSION, Told

if TYPE_CHECKING:
    from .connection import ClientConnection

# It tells of every handshake with the query of its target, which may hold a key. What has to be told, the walk tells.
_log = logging.getLogger("tenantgate.websocket")
_log.setLevel(logging.WARNING)


class GatewayWebSocket(WebSocketsSansIOProtocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = self.conn.logger = _log

    async def send(self, message: Any) -> None:
        await super().send(message)
        # To uvicorn, a handshake that was answered with a refusal is one that the application forgot, and an error.
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True


def become_websocket(connection: ClientConnection, head: Head, received: bytes) -> None:
    """The protocol for WebSockets takes the transport, with the application that ASGI serves. `received`: what followed the
    handshake."""
    told = Told(head.target, connection.transport.abort)
    make: Callable[..., asyncio.Protocol] = connection.config.ws_protocol_class  # type: ignore[assignment]  # uvicorn allows None
    state = {**connection.app_state, EXTENSION: told}
    protocol = make(config=connection.config, server_state=connection.server_state, app_state=state)
    protocol.connection_made(connection.transport)
    lines = [b"GET %b HTTP/1.1\r\n" % head.target, *[b"%b: %b\r\n" % field for field in head.fields], b"\r\n"]
    protocol.data_received(b"".join(lines) + received)
    connection.transport.set_protocol(protocol)
    if isinstance(protocol, GatewayWebSocket) and protocol.conn.handshake_exc is not None:
        # It was not understood after all, and nobody would answer.
        _log.warning("a WebSocket handshake could not be read: %s", type(protocol.conn.handshake_exc).__name__)
        connection.transport.abort()
