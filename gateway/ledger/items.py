"""What an exchange with the store consists of: each item as exchange.lua reads it, and what becomes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from gateway.store.wire import Part

from .bucket import Index, QuotaBucket, RateBucket, places_of
from .lease import Lease
from .standing import told


@dataclass(frozen=True, slots=True)
class Counters:
    """Which counters move together: the bucket's two, and `field` of the hash `credential` where a credential is counted. All
    expire at `expires`, in seconds since 1970."""

    bucket: QuotaBucket
    credential: str | None
    field: str
    expires: int


@dataclass(frozen=True, slots=True)
class HeldResource:
    """A reservation of `holder` in the sorted set `key`; what it becomes is counted in `resource` of the hash `counts`.
    `holder` is None where the request deletes one: then nothing is held."""

    key: str
    counts: str
    resource: str
    holder: str | None


class Item(Protocol):
    answers: ClassVar[int]
    """How many numbers it is answered by."""

    def parts(self, index: Index) -> Sequence[Part]:
        """Called once, when it is sent; it is the same afterwards, however often it has to be repeated."""

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        """`asked`: when it was sent first. Both on the monotonic clock."""


class Silent:
    """An item that is not answered by any number."""

    answers: ClassVar[int] = 0

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        pass


@dataclass(slots=True, eq=False)
class Commit:
    """`units` are to be counted, of which `held` are held of the lease. `done` becomes whether they were."""

    answers: ClassVar[int] = 1
    counters: Counters
    lease: Lease | None
    done: asyncio.Future[bool]
    units: int = 0
    held: int = 0
    forced: bool = False

    def parts(self, index: Index) -> Sequence[Part]:
        counters, epoch = self.counters, "" if self.lease is None else self.lease.epoch
        credential = 0 if counters.credential is None else index(counters.credential)
        amounts = (epoch, self.units, self.held, int(self.forced))
        return ("commit", *counters.bucket.parts(index), *amounts, credential, counters.field, counters.expires)

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        if self.lease is not None:
            self.lease.busy -= self.held
        if not self.done.done():
            self.done.set_result(numbers[0] == 1)


@dataclass(slots=True, eq=False)
class Refund(Silent):
    key: str
    field: str
    units: int

    def parts(self, index: Index) -> Sequence[Part]:
        return ("refund", index(self.key), self.field, self.units)


@dataclass(slots=True, eq=False)
class Back(Silent):
    """Idle units go back, and those that were used since are reported. `busy`: whoever asked for them is to know that nothing
    idle is left here."""

    lease: Lease
    now: Callable[[], float]
    busy: bool = False

    def parts(self, index: Index) -> Sequence[Part]:
        lease, bucket = self.lease, self.lease.bucket
        used, age = lease.report(self.now())
        idle, lease.idle = lease.idle, 0
        # What was asked for beside, and is not here yet, is idle too.
        busy = self.busy and not lease.refilling
        back = ("back", *places_of(bucket, index), lease.epoch, idle, int(busy))
        if isinstance(bucket, RateBucket) and used:
            return ("used", *bucket.parts(index), lease.epoch, used, age, *back)
        return back


@dataclass(slots=True, eq=False)
class Keep:
    """What the worker holds, it goes on to hold. `slots`: where that has ended, it is held anew: the requests are running."""

    answers: ClassVar[int] = 1
    lease: Lease
    slots: bool = False

    def parts(self, index: Index) -> Sequence[Part]:
        lease = self.lease
        held = lease.busy if self.slots else 0
        # Of a rate nobody knows which cells were used: they end with the epoch.
        most = lease.busy if lease.over and not isinstance(lease.bucket, RateBucket) else -1
        return ("keep", *places_of(lease.bucket, index), lease.bucket.kept, lease.epoch, held, most)

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        if numbers[0] == 1:
            self.lease.keep(asked)
        elif self.slots:
            # The store has taken the idle ones back already.
            self.lease.idle = 0
            self.lease.keep(asked)
        else:
            self.lease.give_up()


@dataclass(slots=True, eq=False)
class Extra:
    """More units, before anybody has to wait for them."""

    answers: ClassVar[int] = 4
    lease: Lease
    now: Callable[[], float]

    def parts(self, index: Index) -> Sequence[Part]:
        lease, bucket = self.lease, self.lease.bucket
        now = self.now()
        wanted = max(0, lease.wanted(now) - lease.idle)
        lease.refilling = True
        if isinstance(bucket, RateBucket):
            return ("extra_rate", *bucket.parts(index), lease.epoch, *lease.report(now), wanted)
        kind = "extra_quota" if isinstance(bucket, QuotaBucket) else "extra_slot"
        return (kind, *bucket.parts(index), lease.epoch, wanted)

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        _, first, second, extra = numbers
        self.lease.refilling = False
        left, reset = told(self.lease.bucket, first, second)
        # What is idle here counts as lent there.
        self.lease.learn(extra, left - extra, reset, asked, now)


@dataclass(slots=True, eq=False)
class RenewRecord:
    """`renewed` is told when it was asked, or None where the record has changed."""

    answers: ClassVar[int] = 1
    key: str
    leases: str
    version: int
    renewed: Callable[[float | None], None]

    def parts(self, index: Index) -> Sequence[Part]:
        return ("record", index(self.key), index(self.leases), self.version)

    def answered(self, numbers: Sequence[int], asked: float, now: float) -> None:
        self.renewed(asked if numbers[0] == 1 else None)


@dataclass(slots=True, eq=False)
class Drop(Silent):
    """A reservation that became nothing."""

    key: str
    holder: str

    def parts(self, index: Index) -> Sequence[Part]:
        return ("drop", index(self.key), self.holder)


@dataclass(slots=True, eq=False)
class Made(Silent):
    held: HeldResource

    def parts(self, index: Index) -> Sequence[Part]:
        assert self.held.holder is not None
        return ("made", index(self.held.key), index(self.held.counts), self.held.resource, self.held.holder)


@dataclass(slots=True, eq=False)
class Forget(Silent):
    """A nonce of a request that was not admitted in the end."""

    key: str

    def parts(self, index: Index) -> Sequence[Part]:
        return ("nonce", index(self.key))
