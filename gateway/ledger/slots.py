"""The slots that this process holds, and the heartbeat that keeps their leases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from uuid import uuid4

from gateway.errors import Refused
from gateway.store.connect import Store
from gateway.store.script import Script

from .ask import SLOT_LEASE
from .charge import HeldSlot

_RENEW = Script.load("gateway.ledger", "renew")
_HEARTBEAT = SLOT_LEASE / 3


class Slots:
    """`store_time`: the time in microseconds since 1970 that the store is to go by; None: its own."""

    def __init__(self, store: Store, store_time: Callable[[], int | None]) -> None:
        self._store = store
        self._store_time = store_time
        self._process = uuid4().hex
        self._count = 0
        self._held: set[HeldSlot] = set()
        self._heart: asyncio.Task[None] | None = None

    def new_holder(self) -> str:
        """A name that no other request anywhere has."""
        self._count += 1
        return f"{self._process}-{self._count}"

    def hold(self, slots: Iterable[HeldSlot]) -> None:
        """Keep the leases of these until they are let go."""
        self._held.update(slots)
        if self._held and self._heart is None:
            self._heart = asyncio.create_task(self._beat())

    def let_go(self, slots: Iterable[HeldSlot]) -> None:
        self._held.difference_update(slots)

    async def renew(self) -> None:
        """Renew all leases, in one call. Raises Refused(STORE_UNAVAILABLE)."""
        keys: dict[str, int] = {}
        pairs: list[int | str] = []
        for slot in self._held:
            pairs += (keys.setdefault(slot.key, len(keys) + 1), slot.holder)
        if pairs:
            now = self._store_time()
            await self._store.control.run(_RENEW, list(keys), ["" if now is None else now, int(SLOT_LEASE * 1000), *pairs])

    async def close(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
            self._heart = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            if not self._held:
                self._heart = None
                return
            try:
                await self.renew()
            except Refused:
                # The next beat comes before the lease ends.
                continue
