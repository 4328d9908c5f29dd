"""Workers of the model: the real ledger and the real registry over the real store, each with a way there that can fail."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from gateway.ledger.ledger import Ledger
from gateway.pipeline.lookup import TenantById
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.continuity import Incarnation
from gateway.registry.listener import Listener
from gateway.registry.owner import Owner
from gateway.registry.records import Records
from gateway.registry.shelf import Shelf
from gateway.registry.tenants import Tenants
from gateway.store.connect import Store
from gateway.tenancy.tenant import Tenant
from tests.registry.samples import KEY

from .network import Link, OnDiskAlready, VirtualClient, Watch
from .scene import ORGS
from .virtual import VirtualClock, VirtualStore

# Seconds after a way has healed, in which the end of what a worker holds may come before it is heard of again.
_SHAKY = 2.0


class SteadyShelf(Shelf):
    """The store has been there for long: how long it was, its INFO tells in real time."""

    async def acknowledge(self, owner: Owner, version: int) -> tuple[int, Incarnation]:
        left, incarnation = await super().acknowledge(owner, version)
        return left, Incarnation(incarnation.name, 1000, False)


class Worker:
    """`gone`: it was killed."""

    def __init__(self, server: VirtualStore, clock: VirtualClock, prefix: str, watch: Watch) -> None:
        self.clock, self.link, self.gone = clock, Link(), False
        self.shaky_until = 0.0
        store = Store("unix:///nowhere", prefix=prefix, deadline=1.0)
        store.data, store.control = (VirtualClient(server, clock, self.link, watch) for _ in range(2))
        store.durable = OnDiskAlready("unix:///nowhere", "durable")
        shelf = SteadyShelf(store, Cipher(KEY), ORGS)
        self.store = store
        self.records = Records(shelf, clock)
        self.tenants = Tenants(Changes(shelf, self.records, clock))
        self.ledger = Ledger(store, self.records, clock)
        self.listener = Listener(shelf, self.records, self.ledger.recalled)

    @property
    def in_touch(self) -> bool:
        """Whether the store knows of all that this worker holds."""
        return not self.gone and self.link.state in ("fine", "slow") and self.clock.monotonic() >= self.shaky_until

    def heal(self) -> None:
        if self.gone:
            return
        if self.link.state not in ("fine", "slow"):
            self.shaken()
        self.link.state, self.link.deaf = "fine", False

    def shaken(self) -> None:
        self.shaky_until = self.clock.monotonic() + _SHAKY

    async def tenant(self, tenant_id: UUID, *, anew: bool) -> Tenant | None:
        """The record as a decision has it: a leased one if there is one, unless it has to be read `anew`."""
        found = self.records.peek(TenantById(tenant_id))
        if anew or found is None or not self.records.leased(found):
            found = await self.records.resolve(TenantById(tenant_id))
        assert found is None or isinstance(found, Tenant)
        return found

    def kill(self) -> None:
        self.gone = True
        self.link.state, self.link.deaf, self.link.shard = "requests lost", True, "all"

    async def close(self) -> None:
        await self.ledger.close()
        await self.listener.close()


MakeWorker = Callable[[], Worker]
