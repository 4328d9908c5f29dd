"""All that a worker has to tell the store beside its requests: one call at a time, numbered, repeated until it is answered.

Under load many requests share one call (group commit), so that being exact costs less the more there is to do. Where the store
is sharded, there is one call at a time for each group of keys, and what has keys in two of them is told to both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.store.connect import Store
from gateway.store.keyspace import ONE_GROUP
from gateway.store.lease import KEPT_MS, RECORD_LEASE_MS
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

from .item import Item
from .items import Commit, Counters
from .keys import Keys
from .lease import Lease

_log = logging.getLogger(__name__)

_EXCHANGE = Script.load("gateway.ledger", "exchange", before="buckets")

AT_ONCE, LATER = 0.0, 0.1
"""Seconds for which an item may wait for others to share a call with."""
# Seconds between the beginnings of two calls of a group, of which each takes so many items at the most.
_PACE = 0.002
_BATCH = 512
_AGAIN_MIN, _AGAIN_MAX = 0.01, 0.5
# A loop may count time in milliseconds, and come so much too early.
_EARLY = 0.001

_Groups = tuple[str, ...]


@dataclass(slots=True)
class _Queue:
    """Items with keys in the same groups, by name; the first of them is due at `due`, on the loop's clock."""

    items: dict[Hashable, Item] = field(default_factory=dict)
    due: float = float("inf")


@dataclass(slots=True)
class _Told:
    """An item that is under way, and what each of its groups has answered so far."""

    item: Item
    groups: _Groups
    asked: float
    replies: dict[str, Sequence[int]] = field(default_factory=dict)


class Exchange:
    """`name` is this exchange's in the store."""

    def __init__(self, store: Store, clock: Clock, store_time: Callable[[], int | None], name: str) -> None:
        self._store = store
        self._clock = clock
        self._store_time = store_time
        self._name = name
        # One sequence for all groups: it rises in each of them.
        self._number = 0
        self._queues: dict[_Groups, _Queue] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._stalled: set[str] = set()
        self._next = 0.0

    def stalled(self, keys: Iterable[str]) -> bool:
        """Whether what was sent last about their groups is repeated since, and nothing else is sent."""
        return bool(self._stalled) and not self._stalled.isdisjoint(self._store.keys.groups(keys))

    def add(self, item: Item, within: float, name: Hashable = None) -> None:
        """Send `item` within so many seconds. Of two with the same name that wait, the first is sent."""
        groups, queue = self._queue(item)
        queue.items.setdefault(name or id(item), item)
        self._arm(groups, queue, within)

    def commit(self, counters: Counters, lease: Lease | None, *, units: int, held: int, lazy: bool) -> Commit:
        """Count units; those of a tick are summed. `lazy`: nobody waits for it, and they are counted whatever happens."""
        bucket = counters.bucket
        name = (bucket.tenant, bucket.org, bucket.metric, counters.credential, counters.field, lease, lazy)
        groups, queue = self._queue(counters)
        commit = queue.items.get(name)
        if not isinstance(commit, Commit):
            commit = queue.items[name] = Commit(counters, lease, asyncio.get_running_loop().create_future(), forced=lazy)
            self._arm(groups, queue, LATER if lazy else AT_ONCE)
        commit.units += units
        commit.held += held
        return commit

    async def flush(self) -> None:
        """Return when all that waits now has been answered."""
        while self._queues or self._calls:
            self._start(early=True)
            if len(self._calls) == 1:
                await asyncio.shield(next(iter(self._calls.values())))
            elif self._calls:
                await asyncio.wait(self._calls.values(), return_when=asyncio.FIRST_COMPLETED)

    async def close(self, patience: float) -> None:
        """Send what waits; what the store does not answer in `patience` seconds is lost: leases end by themselves."""
        try:
            async with asyncio.timeout(patience):
                await self.flush()
        except TimeoutError:
            pass
        finally:
            calls = list(self._calls.values())
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            # One that had not begun yet has not taken itself out.
            self._calls.clear()
            self._stop_timer()

    def _queue(self, about: Item | Counters) -> tuple[_Groups, _Queue]:
        groups = self._store.keys.groups(about.at) if self._store.keys.sharded else ONE_GROUP
        queue = self._queues.get(groups)
        if queue is None:
            queue = self._queues[groups] = _Queue()
        return groups, queue

    def _free(self, groups: _Groups) -> bool:
        return self._calls.keys().isdisjoint(groups)

    def _arm(self, groups: _Groups, queue: _Queue, within: float) -> None:
        due = max(asyncio.get_running_loop().time() + within, self._next)
        if due < queue.due:
            queue.due = due
            if self._free(groups):
                self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if due < self._timer_due:
            self._stop_timer()
            self._timer_due = due
            self._timer = asyncio.get_running_loop().call_at(due, self._start)

    def _stop_timer(self) -> None:
        self._timer_due = float("inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, *, early: bool = False) -> None:
        """Send what is due, or all that waits, as far as no call about the same groups is under way."""
        self._stop_timer()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._next = now + _PACE
        batch: dict[str, list[_Told]] = {}
        room, asked = _BATCH, self._clock.monotonic()
        for groups in [groups for groups, queue in self._queues.items() if early or queue.due <= now + _EARLY]:
            if not room or not self._free(groups):
                continue
            queue = self._queues[groups]
            for name in list(islice(queue.items, room)):
                told = _Told(queue.items.pop(name), groups, asked)
                room -= 1
                for group in groups:
                    batch.setdefault(group, []).append(told)
            queue.due = self._next
            if not queue.items:
                del self._queues[groups]
        for group, items in batch.items():
            self._calls[group] = loop.create_task(self._send(group, items))
        self._set_timers()

    def _set_timers(self) -> None:
        for groups, queue in self._queues.items():
            if self._free(groups):
                self._set_timer(queue.due)

    async def _send(self, group: str, batch: list[_Told]) -> None:
        try:
            await self._exchange(group, batch)
        finally:
            # Here, and not when the task has ended: whoever waits for it goes on before that is told.
            self._calls.pop(group, None)
            self._set_timers()

    async def _exchange(self, group: str, batch: list[_Told]) -> None:
        keys = Keys(self._store.keys, group)
        keys.index(self._store.keys.exchange(group, self._name))
        now = self._store_time()
        self._number += 1
        args: list[Part] = ["" if now is None else now, self._number, self._store.worker]
        args += (RECORD_LEASE_MS, KEPT_MS)
        for told in batch:
            args += told.item.parts(keys.index)
        numbers, place = await self._answer(group, keys.named, args), 0
        arrived = self._clock.monotonic()
        for told in batch:
            told.replies[group] = numbers[place : place + told.item.answers]
            place += told.item.answers
            if len(told.replies) == len(told.groups):
                self._done(told, arrived)

    def _done(self, told: _Told, now: float) -> None:
        try:
            for item in told.item.answered([told.replies[group] for group in told.groups], told.asked, now):
                self.add(item, AT_ONCE)
        except Exception:
            # Whose answer it is can do no harm to the others of the call.
            _log.exception("what the store answered was not understood")

    async def _answer(self, group: str, keys: list[str], args: list[Part]) -> Sequence[int]:
        pause = _AGAIN_MIN
        while True:
            try:
                reply = await self._store.data.run(_EXCHANGE, keys, args)
                self._stalled.discard(group)
                return _numbers(reply)
            except Refused:
                # It may have been applied: the same number tells the store.
                self._stalled.add(group)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _AGAIN_MAX)


def _numbers(reply: Reply) -> Sequence[int]:
    assert isinstance(reply, list)
    return [number for number in reply if isinstance(number, int)]
