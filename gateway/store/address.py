"""Where the store is, and how one gets in."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Protocol, Self, TypedDict, cast

from redis.asyncio.connection import ConnectionPool, SSLConnection, parse_url

from .wire import Part, Wire


class _Parts(TypedDict, total=False):
    host: str
    port: int
    path: str
    username: str
    password: str
    db: int


class _Connections(Protocol):
    def make_connection(self) -> object: ...


@dataclass(frozen=True)
class Address:
    """`path` is that of a unix socket, and then the only thing that counts."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `redis://`, `rediss://` (with `ssl_ca_certs` and its like as parameters) or `unix://`. Raises ValueError."""
        # redis-py's own reading, so that every form that its users know is understood.
        parts = cast(_Parts, parse_url(url))
        return cls(
            parts.get("host", "localhost"),
            parts.get("port", 6379),
            parts.get("path"),
            _tls(url),
            parts.get("username"),
            parts.get("password"),
            parts.get("db", 0),
        )

    async def connect(self) -> Wire:
        """A connection that is ready for commands. Raises OSError, StoreError."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            _, wire = await loop.create_unix_connection(Wire, self.path)
        else:
            _, wire = await loop.create_connection(Wire, self.host, self.port, ssl=self.tls)
        try:
            await asyncio.gather(*(wire.send(command) for command in self._greeting()))
        except BaseException:
            wire.retire(0)
            raise
        return wire

    def _greeting(self) -> list[tuple[Part, ...]]:
        commands: list[tuple[Part, ...]] = []
        if self.password is not None:
            commands.append(("AUTH", *([self.username] if self.username else []), self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return commands


def _tls(url: str) -> ssl.SSLContext | None:
    connections: _Connections = ConnectionPool.from_url(url)
    connection = connections.make_connection()
    return connection.ssl_context.get() if isinstance(connection, SSLConnection) else None
