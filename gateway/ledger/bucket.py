"""Buckets: what is bounded, and where the store keeps it. One whose bound has changed is another one here, and the same one in
the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.store.wire import Part
from gateway.tenancy.plan import RateLimit

from .gcra import gcra_of

Index: TypeAlias = Callable[[str], int]
"""The place of a key among those that a call is given; 0 where it is told to another one."""
NO_CAP = -1


@dataclass(frozen=True, slots=True)
class Lent:
    """Where the store notes what workers hold: a hash of units by epoch, and a sorted set of epochs by their end."""

    units: str
    ends: str

    def parts(self, index: Index) -> Sequence[Part]:
        return (index(self.units), index(self.ends))


_NOWHERE: Sequence[Part] = (0, 0)


@dataclass(frozen=True, slots=True)
class RateBucket:
    key: str
    lent: Lent
    limit: RateLimit

    @property
    def places(self) -> tuple[Lent, ...]:
        """Where its units are lent: of one unit, in each of them."""
        return (self.lent,)

    @property
    def at(self) -> tuple[str, ...]:
        """One key of each place."""
        return (self.key,)

    @property
    def kept(self) -> int:
        """Milliseconds for which it matters that an epoch has ended."""
        return gcra_of(self.limit).tolerance // 1000 + 1

    def parts(self, index: Index) -> Sequence[Part]:
        gcra = gcra_of(self.limit)
        interval = (gcra.window, gcra.count, gcra.interval, gcra.interval_rest)
        return (index(self.key), *self.lent.parts(index), *interval, gcra.tolerance, gcra.tolerance_rest)


@dataclass(frozen=True, slots=True)
class QuotaBucket:
    """Units of `metric` in the hashes `tenant` and `org`, of one period. Where neither is bounded nothing is ever lent."""

    tenant: str
    org: str
    metric: str
    cap: int | None
    org_cap: int | None
    of_tenant: Lent | None
    of_org: Lent | None

    @property
    def bounded(self) -> bool:
        return self.cap is not None or self.org_cap is not None

    @property
    def places(self) -> tuple[Lent, ...]:
        return tuple(lent for lent in (self.of_tenant, self.of_org) if lent is not None)

    @property
    def at(self) -> tuple[str, ...]:
        return tuple(place.units for place in self.places)

    @property
    def kept(self) -> int:
        return 0

    def parts(self, index: Index) -> Sequence[Part]:
        of_tenant = _NOWHERE if self.of_tenant is None else self.of_tenant.parts(index)
        of_org = _NOWHERE if self.of_org is None else self.of_org.parts(index)
        return (index(self.tenant), index(self.org), *of_tenant, *of_org, self.metric, cap_of(self.cap), cap_of(self.org_cap))


@dataclass(frozen=True, slots=True)
class SlotBucket:
    lent: Lent
    limit: int

    @property
    def places(self) -> tuple[Lent, ...]:
        return (self.lent,)

    @property
    def at(self) -> tuple[str, ...]:
        return (self.lent.units,)

    @property
    def kept(self) -> int:
        return 0

    def parts(self, index: Index) -> Sequence[Part]:
        return (*self.lent.parts(index), self.limit)


Bucket = RateBucket | QuotaBucket | SlotBucket


def places_of(bucket: Bucket, index: Index) -> Sequence[Part]:
    """Both places where units may be lent; 0 for one that there is not."""
    parts = [part for lent in bucket.places for part in lent.parts(index)]
    return (*parts, *(0,) * (4 - len(parts)))


def cap_of(cap: int | None) -> int:
    return NO_CAP if cap is None else cap
