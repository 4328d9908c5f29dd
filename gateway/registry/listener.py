"""Hearing of changes that others make: drop what is held, then tell the store, which somebody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from gateway.errors import Refused

from .owner import Owner, read_owner
from .records import Records
from .shelf import Shelf

_log = logging.getLogger(__name__)

# Changes of so many records wait to be acknowledged, at the most. The others' authors wait until the leases end.
_WAITING_MAX, _BATCH = 10_000, 100


class Listener:
    """While it is not connected, and where an acknowledgement is lost, a change takes as long as the lease: nothing worse.

    `recalled` is told where the store keeps what is lent of a bucket of which somebody needs units.
    """

    def __init__(self, shelf: Shelf, records: Records, recalled: Callable[[str], None] = lambda place: None) -> None:
        self._shelf = shelf
        self._recalled = recalled
        self._records = records
        self._waiting: dict[Owner, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._acknowledging: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._shelf.store.changes.listen(self.receive))

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._acknowledging) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def receive(self, message: bytes) -> None:
        """`<owner> <version>`, as write_record.lua tells it, or `recall <key>`, as admit.lua does. At once: no decision may
        come between."""
        name, _, number = message.rpartition(b" ")
        if name == b"recall":
            self._recalled(number.decode())
            return
        try:
            owner, version = read_owner(name), int(number)
        except ValueError:
            _log.error("not a change of a record: %r", message[:100])
            return
        self._records.drop(owner, version)
        if owner in self._waiting or len(self._waiting) < _WAITING_MAX:
            self._waiting[owner] = max(version, self._waiting.get(owner, 0))
        if self._acknowledging is None:
            self._acknowledging = asyncio.create_task(self._acknowledge())

    async def _acknowledge(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popitem() for _ in range(min(_BATCH, len(self._waiting)))]
                with suppress(Refused):
                    await asyncio.gather(*(self._shelf.acknowledge(owner, version) for owner, version in batch))
        finally:
            self._acknowledging = None
