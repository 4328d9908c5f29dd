"""Admitting a request by what this worker holds already: no call, no wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing
from gateway.pipeline.memo import IdentityMemo
from gateway.pipeline.question import Admit, Granted
from gateway.store.connect import Store

from .book import Book
from .charge import Charge, draw, held_resource
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
        """Set the demand's units aside, if there are so many."""
        if not self.bounded:
            return True
        lease = self.lease
        if lease is None or lease.over or now - self.looked >= _TOUCH:
            lease = self.lease = book.find(self.tag, self.name)
            self.looked = now
        return lease is not None and lease.hold(self.units, now)

    def let_go(self) -> None:
        if self.lease is not None:
            self.lease.let_go(self.units)


class Local:
    """What a worker can decide alone. Either all demands of a request are met, or nothing has happened."""

    def __init__(self, store: Store, book: Book) -> None:
        self._store = store
        self._book = book
        self._known = IdentityMemo[Sequence[Place]]()

    def hold(self, question: Admit, period: str, now: float) -> Sequence[Place] | None:
        """Set aside what is demanded; None where the store has to be asked."""
        call = question.call
        if question.fixed:
            subjects = (question.demands, call.principal, call.customer, call.route, period)
            places = self._known(lambda: _places(question, period), *subjects)
        else:
            places = _places(question, period)
        for count, place in enumerate(places):
            if isinstance(place.demand, Nonce | Reserve) or not place.hold(self._book, now):
                for held in places[:count]:
                    held.let_go()
                return None
        return places

    def grant(self, question: Admit, places: Sequence[Place], period: str, period_left: float, now: float) -> Granted:
        """The request is admitted. `period_left` is in seconds."""
        charge, standings, call = Charge(goes_on=question.stale_for is not None), [], question.call
        for place in places:
            demand, lease = place.demand, place.lease
            match demand:
                case Quota():
                    drawn = draw(self._store, call, demand, lease, period, place.counters)
                    charge.units += (drawn,)
                    place.counters = drawn.counters
                case Slot() if lease is not None:
                    charge.slots += (lease,)
                case Release():
                    charge.resources += (held_resource(self._store, call, demand, None),)
            if lease is not None and isinstance(demand, Rate | Quota | Slot):
                # First, since what is told counts what is handed out.
                standings.append(from_lease(demand, lease, now, period_left))
                lease.hand_out(place.units)
            else:
                standings.append(Standing(demand, True, None, period_left if isinstance(demand, Quota) else 0.0))
        return Granted(tuple(standings), charge)


def _places(question: Admit, period: str) -> Sequence[Place]:
    call, places = question.call, []
    for demand in question.demands:
        if isinstance(demand, Rate | Slot) or (isinstance(demand, Quota) and not demand.unbounded):
            units = demand.units if isinstance(demand, Quota) else 1
            places.append(Place(demand, tag_of(call, demand), name_of(call, demand, period), units, bounded=True))
        else:
            places.append(Place(demand))
    return places
