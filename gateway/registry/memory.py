"""What a worker remembers of records, and for how long it may trust each without asking: the worker's side of a lease."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from gateway.clock import Clock
from gateway.pipeline.lookup import Record
from gateway.store.lease import RECORD_LEASE, lease_until, leased_at

from .owner import Owner
from .weight import weight

_TOMBSTONES = 10_000
_SPACE = 128 << 20


@dataclass(slots=True)
class Held:
    """`until` is on the monotonic clock. Afterwards the record is still remembered, but no longer trusted. Whoever has been
    given this goes by it from request to request, so it ends when it is no longer held."""

    record: Record
    until: float
    weight: int

    def end(self) -> None:
        self.until = float("-inf")


class Memory:
    """Remembers at most `size` records, in about `space` bytes, and `tombstones` of dropped ones; the least used records go
    first. One that is larger than all the space is remembered alone."""

    def __init__(self, clock: Clock, size: int, tombstones: int = _TOMBSTONES, space: int = _SPACE) -> None:
        self.clock = clock
        self._size = size
        self._space = space
        self._taken = 0
        self._held: OrderedDict[Owner, Held] = OrderedDict()
        # The lowest version that may be accepted of a record that was dropped. An answer that was on its way meanwhile must not
        # revive it; its lease would count from before it was asked for, so after one lease nothing is left to fear.
        self._lowest: TTLCache[Owner, int] = TTLCache(tombstones, RECORD_LEASE, clock.monotonic)
        # Where there were too many to be remembered one by one: no answer to what was asked before then is accepted.
        self._none_before = float("-inf")

    def __len__(self) -> int:
        return len(self._held)

    def get(self, owner: Owner) -> Record | None:
        """The record as last seen. It may be old."""
        held = self._held.get(owner)
        if held is None:
            return None
        # What is asked for goes last.
        self._held.move_to_end(owner)
        return held.record

    def leased(self, record: Record) -> bool:
        """Whether this version is, at this very moment, sure to be one under which nobody's change has answered."""
        return self.lease_left(record) > 0

    def lease_left(self, record: Record) -> float:
        """For how many more seconds it is leased; 0 where it is not."""
        held = self._held.get(record.id)
        if held is None or held.record.version != record.version:
            return 0.0
        left = held.until - self.clock.monotonic()
        return left if left > 0.0 else 0.0

    def trust(self, record: Record) -> Held | None:
        """Until when this version may be trusted, from now on; None: not at all."""
        held = self._held.get(record.id)
        return None if held is None or held.record.version != record.version else held

    def age(self, record: Record) -> float:
        """Seconds since the store was asked last whether this version is current, and it was; infinite where nobody knows."""
        held = self._held.get(record.id)
        if held is None or held.record.version != record.version:
            return float("inf")
        return self.clock.monotonic() - leased_at(held.until)

    def learn(self, record: Record, asked: float) -> None:
        """The store has said that `record` is current, and leased it, in answer to what was asked at `asked` (monotonic)."""
        if asked <= self._none_before or record.version < self._lowest.get(record.id, 0):
            return
        until, held = lease_until(asked), self._held.get(record.id)
        # Two reads can be answered in one order and arrive here in the other.
        if held is not None and held.record.version > record.version:
            return
        if held is not None and held.record.version == record.version:
            held.until = max(until, held.until)
            self._held.move_to_end(record.id)
            return
        self.forget(record.id)
        self._held[record.id] = Held(record, until, weight(record))
        self._taken += self._held[record.id].weight
        while len(self._held) > self._size or (self._taken > self._space and len(self._held) > 1):
            self.forget(next(iter(self._held)))

    def forget(self, owner: Owner) -> None:
        """It was found to be no longer current, or gone."""
        held = self._held.pop(owner, None)
        if held is not None:
            held.end()
            self._taken -= held.weight

    def clear(self) -> Sequence[Owner]:
        """Remember nothing, and accept no answer to what was asked until now; of whom there was a record."""
        owners = tuple(self._held)
        for held in self._held.values():
            held.end()
        self._held.clear()
        self._taken = 0
        self._none_before = self.clock.monotonic()
        return owners

    def drop(self, owner: Owner, version: int) -> None:
        """Trust nothing before `version`, which has been written. Afterwards that can be acknowledged to the store."""
        held = self._held.get(owner)
        if held is not None and held.record.version < version:
            self.forget(owner)
        if owner not in self._lowest and len(self._lowest) >= self._lowest.maxsize:
            self._lowest.clear()
            self._none_before = self.clock.monotonic()
        self._lowest[owner] = max(version, self._lowest.get(owner, 0))
