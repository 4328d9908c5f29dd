"""All that a worker has to tell the store beside its requests: one call at a time, numbered, repeated until it is answered.

Under load many requests share one call (group commit), so that being exact costs less the more there is to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from itertools import islice

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.store.connect import Store
from gateway.store.lease import KEPT_MS, RECORD_LEASE_MS
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

from .items import Commit, Counters, Item
from .lease import Lease

_log = logging.getLogger(__name__)

_EXCHANGE = Script.load("gateway.ledger", "exchange", before="buckets")

AT_ONCE, LATER = 0.0, 0.1
"""Seconds for which an item may wait for others to share a call with."""
# Seconds between the beginnings of two calls, of which each takes so many items at the most.
_PACE = 0.002
_BATCH = 512
_AGAIN_MIN, _AGAIN_MAX = 0.01, 0.5


class Exchange:
    """`name` is this exchange's in the store. `stalled`: what was sent last is repeated since, and nothing else is sent."""

    def __init__(self, store: Store, clock: Clock, store_time: Callable[[], int | None], name: str) -> None:
        self._seen = store.keys.exchange(name)
        self._store = store
        self._clock = clock
        self._store_time = store_time
        self._number = 0
        self._waiting: dict[Hashable, Item] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._next = 0.0
        self._due = float("inf")
        self.stalled = False

    def add(self, item: Item, within: float, name: Hashable = None) -> None:
        """Send `item` within so many seconds. Of two with the same name that wait, the first is sent."""
        self._waiting.setdefault(name or id(item), item)
        self._arm(within)

    def commit(self, counters: Counters, lease: Lease | None, *, units: int, held: int, lazy: bool) -> Commit:
        """Count units; those of a tick are summed. `lazy`: nobody waits for it, and they are counted whatever happens."""
        name = (counters, lease, lazy)
        commit = self._waiting.get(name)
        if not isinstance(commit, Commit):
            commit = self._waiting[name] = Commit(counters, lease, asyncio.get_running_loop().create_future(), forced=lazy)
        commit.units += units
        commit.held += held
        self._arm(LATER if lazy else AT_ONCE)
        return commit

    async def flush(self) -> None:
        """Return when all that waits now has been answered."""
        while self._waiting or self._under_way is not None:
            if self._under_way is None:
                self._start()
            assert self._under_way is not None
            await asyncio.shield(self._under_way)

    async def close(self, patience: float) -> None:
        """Send what waits; what the store does not answer in `patience` seconds is lost: leases end by themselves."""
        try:
            async with asyncio.timeout(patience):
                await self.flush()
        except TimeoutError:
            pass
        finally:
            if self._under_way is not None:
                self._under_way.cancel()
                await asyncio.gather(self._under_way, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()

    def _arm(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        due = max(loop.time() + within, self._next)
        if due >= self._due:
            return
        self._due = due
        if self._under_way is None:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._start)

    def _start(self) -> None:
        if self._under_way is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        self._due, self._next = float("inf"), loop.time() + _PACE
        names = list(islice(self._waiting, _BATCH))
        batch = [self._waiting.pop(name) for name in names]
        if self._waiting:
            self._due = self._next
        self._under_way = loop.create_task(self._send(batch))

    async def _send(self, batch: list[Item]) -> None:
        try:
            await self._exchange(batch)
        finally:
            # Here, and not when the task has ended: whoever waits for it goes on before that is told.
            self._under_way = None
            if self._waiting:
                self._set_timer(self._due)

    async def _exchange(self, batch: list[Item]) -> None:
        keys: dict[str, int] = {self._seen: 1}

        def index(key: str) -> int:
            return keys.setdefault(key, len(keys) + 1)

        now = self._store_time()
        self._number += 1
        args: list[Part] = ["" if now is None else now, self._number, self._store.worker]
        args += (RECORD_LEASE_MS, KEPT_MS)
        asked = self._clock.monotonic()
        for item in batch:
            args += item.parts(index)
        numbers = await self._answer(list(keys), args)
        arrived, place = self._clock.monotonic(), 0
        for item in batch:
            try:
                item.answered(numbers[place : place + item.answers], asked, arrived)
            except Exception:
                # Whose answer it is can do no harm to the others of the call.
                _log.exception("what the store answered was not understood")
            place += item.answers

    async def _answer(self, keys: list[str], args: list[Part]) -> list[int]:
        pause = _AGAIN_MIN
        while True:
            try:
                reply = await self._store.data.run(_EXCHANGE, keys, args)
                self.stalled = False
                return _numbers(reply)
            except Refused:
                # It may have been applied: the same number tells the store.
                self.stalled = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, _AGAIN_MAX)


def _numbers(reply: Reply) -> list[int]:
    assert isinstance(reply, list)
    return [number for number in reply if isinstance(number, int)]
