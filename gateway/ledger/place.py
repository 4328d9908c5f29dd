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
from .standing import from_lease

# Seconds after which the book is told again that a lease is of use.
_TOUCH = 1.0


@dataclass(slots=True)
class Place:
    """Where one demand of a caller is met: by `lease`, which the book has under `tag` and `name`; of what nothing bounds there
    is none. `counters` are those of a quota. Kept from request to request where the caller's demands stay the same."""

    demand: Demand
    tag: str = ""
    name: str = ""
    units: int = 1
    bounded: bool = False
    lease: Lease | None = None
    looked: float = 0.0
    counters: Counters | None = None

    def hold(self, book: Book, now: float) -> bool:
        """Set the demand's units aside, if there are so many. What only the store can tell is never there."""
        if not self.bounded:
            return not isinstance(self.demand, Nonce | Reserve)
        lease = self.lease
        if lease is None or lease.over or now - self.looked >= _TOUCH:
            lease = self.lease = book.find(self.tag, self.name)
            self.looked = now
        return lease is not None and lease.hold(self.units, now)

    def standing(self, now: float, period_left: float) -> Standing:
        if self.lease is not None and isinstance(self.demand, Rate | Quota | Slot):
            return from_lease(self.demand, self.lease, now, period_left)
        return Standing(self.demand, True, None, period_left if isinstance(self.demand, Quota) else 0.0)

    def let_go(self) -> None:
        if self.lease is not None:
            self.lease.let_go(self.units)


@dataclass(frozen=True, slots=True)
class Order:
    """What all requests that ask `question` demand in `period`."""

    question: Admit
    period: str
    places: Sequence[Place]

    @property
    def has_quota(self) -> bool:
        return any(isinstance(place.demand, Quota) for place in self.places)


def places_of(question: Admit, period: str) -> Sequence[Place]:
    call, places = question.call, []
    for demand in question.demands:
        if isinstance(demand, Rate | Slot) or (isinstance(demand, Quota) and not demand.unbounded):
            units = demand.units if isinstance(demand, Quota) else 1
            places.append(Place(demand, tag_of(call, demand), name_of(call, demand, period), units, bounded=True))
        else:
            places.append(Place(demand))
    return places
