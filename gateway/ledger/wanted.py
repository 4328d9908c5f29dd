"""One demand of a request as the store's script reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from gateway.store.connect import Store
from gateway.store.keyspace import ONE_GROUP
from gateway.store.wire import Part

from .bucket import Index, Lent, cap_of
from .charge import held_resource
from .items import HeldResource
from .lease import Lease
from .naming import owner_tag
from .standing import from_lease, from_store

NOTHING: Sequence[Part] = ("pass",)


class Numbers(NamedTuple):
    """How the script answers a demand: whether it fits, two of its bucket, units that were lent beside."""

    fits: int
    first: int
    second: int
    extra: int


class Said(NamedTuple):
    """Of a lease, beside the demand: cells that were `used`, the last of them `age` microseconds ago; `idle` units that go
    back; `extra` ones that are wanted."""

    used: int
    age: int
    idle: int
    extra: int


@dataclass(slots=True)
class Wanted:
    """A demand, with the lease of its bucket, its key as a nonce, or the resource that it is about. `groups` are those that are
    to be asked for it; `held`: it is met by what is idle under its lease. What it has `said` is the same for each group."""

    demand: Demand
    lease: Lease | None = None
    nonce: str | None = None
    resource: HeldResource | None = None
    groups: Sequence[str] = ONE_GROUP
    held: bool = False
    said: Said | None = None

    @classmethod
    def of(cls, store: Store, call: Call, demand: Demand, lease: Lease | None, holder: str) -> Wanted:
        """`holder` is the name under which something is reserved."""
        match demand:
            case Nonce(value=value):
                return cls(demand, nonce=store.keys.nonce(owner_tag(call), value))
            case Reserve():
                return cls(demand, resource=held_resource(store, call, demand, holder))
            case Release():
                return cls(demand, resource=held_resource(store, call, demand, None))
            case _:
                return cls(demand, lease)

    @property
    def units(self) -> int:
        return self.demand.units if isinstance(self.demand, Quota) else 1

    @property
    def asked_for(self) -> Lease | None:
        """Its lease, if the store decides of it."""
        return None if self.held else self.lease

    def hold(self, now: float) -> None:
        """Set aside what is idle here, if that is enough."""
        self.held = self.lease is not None and self.lease.hold(self.units, now)

    def takes(self, fits: int) -> bool:
        """Whether units of its bucket are taken: of a quota in shadow also where they do not fit."""
        return isinstance(self.demand, Quota) or (isinstance(self.demand, Rate | Slot) and fits == 1)

    def keys(self) -> Sequence[str]:
        """One of each group that has to be asked for it."""
        if self.nonce is not None:
            return (self.nonce,)
        if isinstance(self.demand, Reserve) and self.resource is not None:
            return (self.resource.key,)
        lease = self.asked_for
        return () if lease is None else lease.bucket.at

    def places(self, store: Store) -> Iterator[tuple[Lent, str]]:
        """Where units are lent for it, each with its group."""
        if (lease := self.asked_for) is not None:
            yield from zip(lease.bucket.places, map(store.keys.group, lease.bucket.at), strict=True)

    def parts(self, index: Index, now: float) -> Sequence[Part]:
        parts = self._parts(index, now)
        return ("shadow", *parts) if in_shadow(self.demand) else parts

    def standing(self, granted: bool, numbers: Numbers, now: float, period_left: float) -> Standing:
        """`granted`: whether the whole request was; `period_left` in seconds."""
        demand, lease = self.demand, self.lease
        if self.held and lease is not None and isinstance(demand, Rate | Quota | Slot):
            return from_lease(demand, lease, now, period_left)
        return from_store(demand, None if lease is None else lease.bucket, granted, numbers[:3], period_left)

    def _parts(self, index: Index, now: float) -> Sequence[Part]:
        match self.demand:
            case Nonce(ttl=ttl) if self.nonce is not None:
                return ("nonce", index(self.nonce), ttl * 1000)
            case Reserve(resource=name, cap=cap) if (held := self.resource) is not None and held.holder is not None:
                return ("reserve", index(held.key), index(held.counts), name, cap_of(cap), held.holder)
        lease = self.asked_for
        if lease is None:
            return NOTHING
        bucket, (used, age, idle, extra) = lease.bucket.parts(index), self._say(lease, now)
        match self.demand:
            case Rate():
                return ("rate", *bucket, lease.epoch, used, age, idle, extra)
            case Quota(units=units):
                return ("quota", *bucket, lease.epoch, idle, units, extra)
            case _:
                return ("slot", *bucket, lease.epoch, idle, extra)

    def _say(self, lease: Lease, now: float) -> Said:
        if self.said is None:
            idle, lease.idle = lease.idle, 0
            report = lease.report(now)
            lease.count(self.units, now)
            # One ask at a time brings more, or each of many at once would.
            extra = 0 if lease.refilling else lease.wanted(now)
            lease.refilling = lease.refilling or extra > 0
            self.said = Said(*report, idle, extra)
        return self.said
