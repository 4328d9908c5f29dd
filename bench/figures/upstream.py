"""An upstream that costs next to nothing: a KiB of JSON for every request, and a count of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_BODY = b'{"filler":"' + b"x" * (1024 - 13) + b'"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
_END = b"\r\n\r\n"


class Upstream:
    """`hits` counts the requests that were answered. They must have no body."""

    def __init__(self) -> None:
        self.hits = 0
        self.url = ""


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._rest = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by name.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(_END)
        self._upstream.hits += len(heads)
        self._transport.write(_ANSWER * len(heads))


@asynccontextmanager
async def serving() -> AsyncIterator[Upstream]:
    """An upstream on a port of its own, in this event loop."""
    upstream = Upstream()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(upstream), "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
