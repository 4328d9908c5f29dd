"""Admitting a request by what this worker holds already: no call, no wait."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.pipeline.demand import Demand, Nonce, Quota, Release, Reserve, Slot, Standing
from gateway.pipeline.question import Admit, Granted
from gateway.store.connect import Store

from .ask import draw, held_resource
from .book import Book
from .charge import Charge
from .lease import Lease
from .naming import Places
from .standing import from_lease


@dataclass(slots=True)
class Local:
    """One request. Either all of its demands are met, or `undo` gives back what was handed out."""

    store: Store
    book: Book
    places: Places
    question: Admit
    period: str
    period_left: float
    now: float
    charge: Charge = field(init=False)
    standings: list[Standing] = field(default_factory=list)
    taken: list[tuple[Lease, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.charge = Charge(goes_on=self.question.stale_for is not None)

    def meet(self, demand: Demand) -> bool:
        call = self.question.call
        match demand:
            case Nonce() | Reserve():
                return False
            case Release():
                self.charge.resources += (held_resource(self.store, call, demand, None),)
                self.standings.append(Standing(demand, True))
                return True
            case Quota(cap=None, org_cap=None):
                self.charge.units += (draw(self.store, call, demand, None, self.period),)
                self.standings.append(Standing(demand, True, None, self.period_left))
                return True
        lease = self.book.find(*self.places.of(call, demand, self.period))
        units = demand.units if isinstance(demand, Quota) else 1
        if lease is None or not lease.hold(units, self.now):
            return False
        self.taken.append((lease, units))
        self.standings.append(from_lease(demand, lease, self.now, self.period_left))
        if isinstance(demand, Quota):
            self.charge.units += (draw(self.store, call, demand, lease, self.period),)
        elif isinstance(demand, Slot):
            self.charge.slots += (lease,)
        return True

    def grant(self) -> Granted:
        for lease, units in self.taken:
            lease.hand_out(units)
        return Granted(tuple(self.standings), self.charge)

    def undo(self) -> None:
        for lease, units in self.taken:
            lease.let_go(units)
