"""The store as the rest of the gateway sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from .address import Address
from .client import Client, Observe
from .durable import Durable
from .embedded import EmbeddedServer
from .keyspace import Keyspace
from .subscription import Subscription

if TYPE_CHECKING:
    from gateway.settings.schema import StoreSettings

_CONTROL_DEADLINE = 3.0


class Store:
    """`data` serves requests under a short deadline, `control` everything that may take longer; neither waits for the other.
    `durable` waits until what they wrote is on disk.

    `sharded`: its keys are spread over several servers, so that a call may only name some of them, see `Keyspace.group`.
    `worker` names this process in the store: its leases stand under it. No other process, and no earlier one, has the name.
    `changes` are told of every record that is written.
    """

    sharded = False

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        deadline: float,
        observe: Observe | None = None,
        files: Path | None = None,
        require_durable: bool = False,
    ) -> None:
        self.worker = uuid4().hex
        self.keys = Keyspace(prefix, sharded=self.sharded)
        self.data = Client(url, deadline, observe)
        self.control = Client(url, _CONTROL_DEADLINE, observe)
        self.durable = Durable(url, self.keys.named("durable"), files=files, required=require_durable)
        self.changes = Subscription(url, self.keys.changes)

    async def ping(self) -> None:
        """Raises Refused(STORE_UNAVAILABLE) where the store does not answer within the data path's deadline."""
        await self.data.command("PING")

    async def close(self) -> None:
        await self.data.close()
        await self.control.close()
        await self.durable.close()


@dataclass(frozen=True)
class Place:
    """Where a store is that runs; `files` is the directory of the embedded one's append-only file."""

    url: str = field(repr=False)
    files: Path | None = None


def source_of(settings: StoreSettings) -> str:
    """Tells the store from others, and its keys from those of others, without any secret: for what is kept outside of it."""
    if settings.url == "embedded":
        return f"{settings.data_dir.resolve()} {settings.prefix}"
    address = Address.of(settings.url)
    return f"{address.path or f'{address.host}:{address.port}'}/{address.db} {settings.prefix}"


@asynccontextmanager
async def open_server(settings: StoreSettings) -> AsyncIterator[Place]:
    """The store that `settings` name, for one or several to connect to; the embedded one is started, and stopped at the end.

    Raises EmbeddedStoreError where the embedded one does not start.
    """
    if settings.url == "embedded":
        async with EmbeddedServer(settings.data_dir) as server:
            yield Place(server.url, server.files)
    else:
        yield Place(settings.url)


@asynccontextmanager
async def open_store(
    settings: StoreSettings, observe: Observe | None = None, place: Place | None = None
) -> AsyncIterator[Store]:
    """The store that `settings` name. Without a `place` the embedded one is started, and stopped at the end.

    A remote store that can't be reached stops nothing: requests are refused until it can. Raises EmbeddedStoreError where the
    embedded one does not start.
    """
    async with nullcontext(place) if place else open_server(settings) as at:
        store = Store(
            at.url,
            prefix=settings.prefix,
            deadline=settings.deadline,
            observe=observe,
            files=at.files,
            require_durable=settings.require_durable,
        )
        try:
            yield store
        finally:
            await store.close()
