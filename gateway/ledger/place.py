"""Where what a caller demands is met, kept from request to request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Reserve, Slot, Standing
from gateway.pipeline.question import Admit

from .book import Book
from .items import Counters
from .lease import Lease
from .naming import name_of, tag_of
from .remembered import Trust
from .standing import from_lease

TOUCH = 1.0
"""Seconds after which the book is told again that a lease is of use."""


@dataclass(slots=True)
class Place:
    """Where one demand of a caller is met: by `lease`, which the book has under `tag` and `name`; of what nothing bounds there
    is none. `counters` are those of a quota. Kept from request to request where the caller's demands stay the same."""

    demand: Demand
    tag: str = ""
    name: str = ""
    units: int = 1
    bounded: bool = False
    is_rate: bool = False
    lease: Lease | None = None
    looked: float = 0.0
    counters: Counters | None = None

    def find(self, book: Book, now: float) -> Lease | None:
        """The lease of the moment, to be asked for where there is none, where it is over, and when TOUCH has gone by."""
        self.lease, self.looked = book.find(self.tag, self.name), now
        return self.lease

    def let_go(self) -> None:
        if self.lease is not None:
            self.lease.let_go(self.units)

    def standing(self, now: float, period_left: float) -> Standing:
        if self.lease is not None and isinstance(self.demand, Rate | Quota | Slot):
            return from_lease(self.demand, self.lease, now, period_left)
        return Standing(self.demand, True, None, period_left if isinstance(self.demand, Quota) else 0.0)


@dataclass(frozen=True, slots=True)
class Places:
    """Where all that a caller demands is met. `bounded`: those with a lease; `is_local`: whether the store need not be asked
    anyway."""

    all: Sequence[Place]
    bounded: Sequence[Place]
    is_local: bool
    has_quota: bool

    @classmethod
    def of(cls, places: Sequence[Place]) -> Places:
        return cls(
            places,
            [place for place in places if place.bounded],
            not any(isinstance(place.demand, Nonce | Reserve) for place in places),
            any(isinstance(place.demand, Quota) for place in places),
        )


@dataclass(slots=True)
class Order:
    """What all requests that ask `question` demand in `period`, and under which records. `trusts`: None where one of these is
    not leased."""

    question: Admit
    period: str
    places: Places
    trusts: Sequence[Trust] | None


def places_of(question: Admit, period: str) -> Places:
    call, places = question.call, []
    for demand in question.demands:
        if isinstance(demand, Rate | Slot) or (isinstance(demand, Quota) and not demand.unbounded):
            units = demand.units if isinstance(demand, Quota) else 1
            tag, name = tag_of(call, demand), name_of(call, demand, period)
            places.append(Place(demand, tag, name, units, bounded=True, is_rate=isinstance(demand, Rate)))
        else:
            places.append(Place(demand))
    return Places.of(places)
