"""What a parent and its worker say to each other: a JSON object a line, over a pair of sockets that nobody else has.

The parent asks (`{"ask": "metrics"}`), and the answer stands under the question's name (`{"metrics": […]}`).
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

Message = Mapping[str, object]

# Bytes: the metrics of a worker with all labels that there may be fill a tenth of it.
_LONGEST = 16 << 20


class Channel:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Over one of the two sockets, which it owns from now on."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LONGEST))

    def send(self, message: Message) -> None:
        """Whoever is gone hears nothing."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message | None:
        """The next message; None when the other side has ended, or speaks no more sense."""
        try:
            line = await self._reader.readline()
            # The last line of one that was killed may be the beginning of one.
            message: Message | None = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None
        return message

    async def close(self) -> None:
        """What was sent is on its way when this returns."""
        with suppress(OSError):
            await self._writer.drain()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
