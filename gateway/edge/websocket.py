"""uvicorn's WebSocket protocol, without what it writes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

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
