"""Counted, returnable things of a tenant: how many there are and may be, and the word of whoever has counted them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.store.script import Script

_RECONCILE = Script.load("gateway.ledger", "reconcile")


@dataclass(frozen=True, slots=True)
class Held:
    """`exist`: made, and not deleted. `reserved`: being made, or with an outcome that nobody knows. Both count against caps."""

    exist: int = 0
    reserved: int = 0

    @property
    def used(self) -> int:
        return self.exist + self.reserved


class Resources:
    """`names` are those that plans bound. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store, names: Iterable[str]) -> None:
        self._store = store
        self.names = tuple(sorted(names))

    async def of_tenant(self, tenant_id: UUID) -> Mapping[str, Held]:
        """All of `names`."""
        keys, tag = self._store.keys, tenant_tag(tenant_id)
        commands: list[tuple[str, ...]] = [("HGET", keys.resources(tag), name) for name in self.names]
        commands += [("ZCARD", keys.reservations(tag, name)) for name in self.names]
        replies = await self._store.data.gather(commands)
        numbers = [int(reply) if isinstance(reply, int | bytes) else 0 for reply in replies]
        count = len(self.names)
        return {name: Held(*pair) for name, *pair in zip(self.names, numbers[:count], numbers[count:], strict=True)}

    async def reconcile(self, tenant_id: UUID, name: str, count: int) -> None:
        """There are `count` of them; reservations are forgotten. What a request under way makes is not counted any more."""
        keys, tag = self._store.keys, tenant_tag(tenant_id)
        await self._store.control.run(_RECONCILE, [keys.resources(tag), keys.reservations(tag, name)], [name, count])
