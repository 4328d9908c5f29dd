"""Several workers on one real store, as several processes are, under one clock that the test moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from gateway.ledger.ledger import Ledger
from gateway.pipeline.lookup import Record, TenantById
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.continuity import Incarnation
from gateway.registry.listener import Listener
from gateway.registry.owner import Owner, write_owner
from gateway.registry.records import Records
from gateway.registry.shelf import Shelf
from gateway.registry.tenants import Tenants
from gateway.store.connect import Store
from tests.registry.samples import KEY, ORGS, ManualClock


@dataclass
class Life:
    """Which life of the store it is, and when that began; the server itself is shared by many tests and goes on."""

    number: int = 0
    began: float = float("-inf")
    promoted: bool = False


class LivingShelf(Shelf):
    """Tells of a store that is another one in each life."""

    life: Life
    clock: ManualClock

    async def acknowledge(self, owner: Owner, version: int) -> tuple[int, Incarnation]:
        left, incarnation = await super().acknowledge(owner, version)
        uptime = min(self.clock.monotonic() - self.life.began, 1000)
        return left, Incarnation(f"{incarnation.name}-{self.life.number}", int(uptime), self.life.promoted)


@dataclass
class StandingClock(ManualClock):
    """Who waits only lets the others run: time is the test's alone."""

    pauses: int = 0

    async def pause(self, seconds: float) -> None:
        self.pauses += 1
        await asyncio.sleep(0)


@dataclass
class Worker:
    store: Store
    records: Records
    listener: Listener
    tenants: Tenants
    ledger: Ledger
    shelf: Shelf
    calls: list[str]
    clock: ManualClock = field(repr=False)

    async def hear(self, owner: UUID, version: int) -> None:
        """A message of the channel arrives, and is acknowledged."""
        self.listener.receive(f"{write_owner(owner)} {version}".encode())
        while self.listener._acknowledging is not None:
            await asyncio.sleep(0)

    def trusted(self, tenant_id: UUID) -> Record | None:
        """What this worker would admit under without asking the store."""
        record = self.records.peek(TenantById(tenant_id))
        return record if record is not None and self.records.leased(record) else None

    async def close(self) -> None:
        await self.records.close()
        await self.kill()

    async def kill(self) -> None:
        """Gone, without a word about the records that it holds leases of."""
        await self.ledger.close()
        await self.listener.close()
        await self.store.close()


def worker(url: str, prefix: str, clock: ManualClock, life: Life | None = None) -> Worker:
    calls: list[str] = []
    store = Store(url, prefix=prefix, deadline=5.0, observe=lambda name, seconds, answered: calls.append(name))
    shelf: Shelf
    if life is None:
        shelf = Shelf(store, Cipher(KEY), ORGS)
    else:
        shelf = LivingShelf(store, Cipher(KEY), ORGS)
        shelf.life, shelf.clock = life, clock
    records = Records(shelf, clock)
    tenants = Tenants(Changes(shelf, records, clock, clock.pause))
    ledger = Ledger(store, records, clock)
    return Worker(store, records, Listener(shelf, records), tenants, ledger, shelf, calls, clock)
