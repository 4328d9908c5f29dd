"""When each API key was used last, to about a minute: noted in memory, and written now and then.

It is there to tell keys that are used from those that can go. So a use may be told late, and what is noted when a process dies
or the store fails is lost.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.pipeline.call import Call
from gateway.store.connect import Store
from gateway.store.keyspace import record_tag
from gateway.store.wire import Part

from .key_index import OwnedKey
from .owner import Owner

EVERY = 60.0
"""Seconds between two notes of the same key."""
_FLUSH, _CLOSE = 5.0, 1.0
_NOTED = 20_000
_KEPT = 400 * 86400


class LastUsed:
    """Of more than 20,000 keys in a minute the others go untold."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._now = clock.now
        self._noted: dict[str, float] = {}
        self._waiting: dict[tuple[Owner, str], int] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, call: Call) -> None:
        """The request was admitted."""
        principal = call.principal
        if principal.method != "api_key":
            return
        now, key_id = self._now(), principal.subject
        if 0 <= now - self._noted.get(key_id, -math.inf) < EVERY or len(self._noted) >= _NOTED:
            return
        owner = principal.org if principal.root else None if call.customer is None else call.customer.tenant.id
        if owner is not None:
            self._noted[key_id] = now
            self._waiting[owner, key_id] = int(now)

    async def of(self, found: Sequence[OwnedKey]) -> list[float | None]:
        """In seconds since 1970; None: not in the last 400 days, as far as is known. Raises Refused(STORE_UNAVAILABLE)."""
        commands = [("HGET", self._place(one.owner), one.key.id) for one in found]
        return [float(reply) if isinstance(reply, bytes) else None for reply in await self._store.control.gather(commands)]

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_writing())

    async def close(self) -> None:
        """Write what is noted, if the store answers in a second."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE):
                await self.write()

    async def write(self) -> None:
        """What the store does not take is forgotten."""
        now = self._now()
        self._noted = {key_id: noted for key_id, noted in self._noted.items() if 0 <= now - noted < EVERY}
        waiting, self._waiting = self._waiting, {}
        places: dict[str, list[Part]] = {}
        for (owner, key_id), instant in waiting.items():
            places.setdefault(self._place(owner), []).extend((key_id, instant))
        commands: list[tuple[Part, ...]] = []
        for place, fields in places.items():
            commands += [("HSET", place, *fields), ("EXPIRE", place, _KEPT)]
        with suppress(Refused):
            await self._store.control.gather(commands)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            await self.write()

    def _place(self, owner: Owner) -> str:
        return self._store.keys.last_used(record_tag(owner))
