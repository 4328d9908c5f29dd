"""Withdrawing a record's older versions: a change is in force when no worker can decide under them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.errors import Refused
from gateway.pipeline.lookup import Record
from gateway.store.lease import lease_over

from .continuity import Continuity
from .records import Records
from .shelf import Shelf

# Seconds between two looks at who is left: the usual change is over within the first, and one that waits harms nobody.
_LOOK_MIN, _LOOK_MAX = 0.001, 0.02

Pause = Callable[[float], Awaitable[None]]


class Withdrawal:
    """`pause` waits for some seconds, on the clock of `records`."""

    def __init__(self, shelf: Shelf, records: Records, pause: Pause = asyncio.sleep) -> None:
        self._shelf = shelf
        self._records = records
        self._clock = records.clock
        self._pause = pause
        self._continuity = Continuity(records.clock)

    async def complete(self, record: Record) -> None:
        """Return when every lease of versions before that of `record`, which has been written, is dropped or has ended.

        Usually that takes as long as the workers need to answer. One that does not answer, and a store that may have
        forgotten leases, or can't be asked, cost at most a whole lease.
        """
        ends = lease_over(self._clock.monotonic())
        self._records.drop(record.id, record.version)
        look = _LOOK_MIN
        while not await self._nobody_left(record):
            left = ends - self._clock.monotonic()
            if left <= 0:
                break
            await self._pause(min(look, left))
            look = min(look * 2, _LOOK_MAX)
        else:
            return
        # Their leases have ended. Nobody has to wait for them again.
        with suppress(Refused):
            await self._shelf.forget_outdated(record)

    async def _nobody_left(self, record: Record) -> bool:
        try:
            left, incarnation = await self._shelf.acknowledge(record.id, record.version)
        except Refused:
            return False
        return self._continuity.unbroken(incarnation) and left == 0
