"""Names that only one tenant may have: reserved first, in their own place in the store, and held by the tenant's record."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from gateway.store.connect import Store
from gateway.store.script import Script

_SWAP = Script.load("gateway.registry", "swap")

CREATION_LIMIT = 30.0
"""Seconds within which a creation writes its record, or gives up."""
_ABANDONED = 60.0


class Reservations:
    """A name without a record behind it belongs to a creation that is under way, or that has died and may be taken over."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    async def take(self, key: str, tenant_id: UUID) -> bool:
        """Reserve the name for `tenant_id`, which may have it already; False where another tenant has it."""
        wanted = str(tenant_id)
        if await self._store.control.command("SET", key, wanted, "NX") is not None:
            return True
        holder = await self._store.control.command("GET", key)
        if not isinstance(holder, bytes):
            return False
        if holder.decode() == wanted:
            return True
        if not await self._abandoned(UUID(holder.decode())):
            return False
        return await self._store.control.run(_SWAP, [key], [holder, wanted]) == 1

    async def give_back(self, key: str, tenant_id: UUID) -> None:
        await self._store.control.run(_SWAP, [key], [str(tenant_id), ""])

    async def hand_over(self, key: str, holder: UUID, tenant_id: UUID) -> None:
        """What was reserved for `holder` is `tenant_id`'s from now on."""
        await self._store.control.run(_SWAP, [key], [str(holder), str(tenant_id)])

    def expired(self, tenant_id: UUID) -> bool:
        """Whether the creation of this tenant has ended by now, one way or the other."""
        return self._now() - _created_at(tenant_id) > _ABANDONED

    async def _abandoned(self, holder: UUID) -> bool:
        return self.expired(holder) and await self._store.control.command("EXISTS", self._store.keys.tenant(holder)) == 0


def _created_at(identifier: UUID) -> float:
    """Seconds since 1970 that a UUIDv7 was made at (RFC 9562, 5.7)."""
    return (identifier.int >> 80) / 1000
