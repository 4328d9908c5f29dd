"""An answer that is made while it is sent, a piece at a time, whatever its length."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Pieces(Response):
    """It begins when there is a first piece: what fails until then is refused properly. What fails later breaks it off, which a
    client tells from its end."""

    def __init__(self, pieces: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-store", **headers}, media_type)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        piece = await anext(self._pieces, b"")
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
