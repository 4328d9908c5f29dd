"""Items about what a worker holds: it goes back, it is kept, there is to be more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.store.wire import Part

from .bucket import Index, Lent, QuotaBucket, RateBucket, places_of
from .item import Item, Replies, Silent
from .lease import Lease
from .standing import told


@dataclass(slots=True, eq=False)
class Back(Silent):
    """Idle units go back, and those that were used since are reported. `busy`: whoever asked for them is to know that nothing
    idle is left here."""

    lease: Lease
    now: Callable[[], float]
    busy: bool = False
    said: tuple[int, int, int, int] | None = None

    @property
    def at(self) -> tuple[str, ...]:
        return self.lease.bucket.at

    def parts(self, index: Index) -> Sequence[Part]:
        lease, bucket = self.lease, self.lease.bucket
        if self.said is None:
            # What was asked for beside, and is not here yet, is idle too.
            busy = self.busy and not lease.refilling and not lease.pending
            self.said = (*lease.report(self.now()), lease.idle, int(busy))
            lease.idle = 0
        used, age, idle, all_busy = self.said
        back = ("back", *places_of(bucket, index), lease.epoch, idle, all_busy)
        if isinstance(bucket, RateBucket) and used:
            return ("used", *bucket.parts(index), lease.epoch, used, age, *back)
        return back


@dataclass(slots=True, eq=False)
class Surplus(Silent):
    """Units that this place has lent for nothing: another one has not, or others were refused. They go back."""

    lease: Lease
    place: Lent
    units: int

    def __post_init__(self) -> None:
        self.lease.pending += 1

    @property
    def at(self) -> tuple[str, ...]:
        return (self.place.units,)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("back", *self.place.parts(index), 0, 0, self.lease.epoch, self.units, 0)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        self.lease.pending -= 1
        return ()


@dataclass(slots=True, eq=False)
class Keep:
    """What the worker holds, it goes on to hold. `slots`: where that has ended, it is held anew: the requests are running."""

    answers: ClassVar[int] = 1
    lease: Lease
    slots: bool = False
    said: tuple[int, int] | None = None

    @property
    def at(self) -> tuple[str, ...]:
        return self.lease.bucket.at

    def parts(self, index: Index) -> Sequence[Part]:
        lease = self.lease
        if self.said is None:
            # Of a rate nobody knows which cells were used: they end with the epoch. What is pending is known, and no more lost.
            lost = lease.over and not lease.pending and not isinstance(lease.bucket, RateBucket)
            most = lease.busy if lost else -1
            self.said = (lease.busy if self.slots else 0, most)
        return ("keep", *places_of(lease.bucket, index), lease.bucket.kept, lease.epoch, *self.said)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        if all(reply[0] == 1 for reply in replies):
            self.lease.keep(asked)
        elif self.slots:
            # The store has taken the idle ones back already.
            self.lease.idle = 0
            self.lease.keep(asked)
        else:
            self.lease.give_up()
        return ()


@dataclass(slots=True, eq=False)
class Extra:
    """More units, before anybody has to wait for them. They are of use where all places have lent them."""

    answers: ClassVar[int] = 4
    lease: Lease
    now: Callable[[], float]
    said: tuple[int, int, int] | None = None

    @property
    def at(self) -> tuple[str, ...]:
        return self.lease.bucket.at

    def parts(self, index: Index) -> Sequence[Part]:
        lease, bucket = self.lease, self.lease.bucket
        if self.said is None:
            now = self.now()
            wanted = max(0, lease.wanted(now) - lease.idle)
            lease.refilling = True
            used = lease.report(now) if isinstance(bucket, RateBucket) else (0, 0)
            self.said = (*used, wanted)
        if isinstance(bucket, RateBucket):
            return ("extra_rate", *bucket.parts(index), lease.epoch, *self.said)
        kind = "extra_quota" if isinstance(bucket, QuotaBucket) else "extra_slot"
        return (kind, *bucket.parts(index), lease.epoch, self.said[-1])

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        lease, lent = self.lease, [reply[3] for reply in replies]
        extra = min(lent)
        lease.refilling = False
        # What a call has no keys of it tells as 0.
        left, reset = told(lease.bucket, sum(reply[1] for reply in replies), sum(reply[2] for reply in replies))
        # What is idle here counts as lent there.
        lease.learn(extra, left - extra, reset, asked, now)
        places = zip(lease.bucket.places, lent, strict=False)
        # Of one that is over, all that nobody knows of comes back anyway.
        return [Surplus(lease, place, units - extra) for place, units in places if units > extra and not lease.over]
