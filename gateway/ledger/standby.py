"""Limits while the store can't be reached. Each worker holds them by itself: so a rate or a number of places is one for each
worker, and a quota goes on from what the store had told last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from gateway.clock import Clock
from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.demand import Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from gateway.pipeline.question import Admit
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.tenancy.period import period_end, period_of

from .gcra import full_in, gcra_of
from .hold import Cells, Hold, Places, Units
from .lease import Lease
from .naming import name_of, tag_of

_MICROSECONDS = 1_000_000
# Rates: so many of one owner, and so many owners; client addresses, which anybody can make up, apart from the others.
_OWN, _OWNERS, _STRANGERS = 256, 20_000, 2_000
_QUOTAS, _SLOTS = 50_000, 50_000

Known = Callable[[str, Hashable], Lease | None]
"""What the ledger held last of a bucket, by its tag and name."""


class Standby:
    """Its memory is bounded: whose rate is pushed out finds it fresh, and where there are too many quotas or places the request
    is refused."""

    def __init__(self, clock: Clock, known: Known) -> None:
        self._clock = clock
        self._known = known
        self._rates: OrderedDict[str, OrderedDict[Hashable, Cells]] = OrderedDict()
        self._strangers: OrderedDict[str, OrderedDict[Hashable, Cells]] = OrderedDict()
        self._quotas: dict[Hashable, Units] = {}
        self._places: dict[Hashable, Places] = {}

    def take(self, question: Admit) -> tuple[tuple[Standing, ...], Hold | None]:
        """All that the request demands, or nothing (None).

        Raises Refused(STORE_UNAVAILABLE) for what only the store can tell: whether a nonce was used, how many of a resource
        there are.
        """
        if any(isinstance(demand, Nonce | Reserve | Release) for demand in question.demands):
            raise Refused(STORE_UNAVAILABLE, "Only the state store can tell whether this may be done.", retry_after=1)
        hold, standings = Hold(), list[Standing]()
        try:
            for demand in question.demands:
                match demand:
                    case Rate():
                        standings.append(self._meet_rate(question, demand, hold))
                    case Quota():
                        standings.append(self._meet_quota(question, demand, hold))
                    case Slot():
                        standings.append(self._meet_slot(question, demand, hold))
        except Refused:
            hold.undo()
            raise
        if all(standing.admitted or in_shadow(standing.demand) for standing in standings):
            return tuple(standings), hold
        hold.undo()
        return tuple(standings), None

    def forget(self) -> None:
        """The store knows of all units that were used, and tells by itself how many are left."""
        self._quotas.clear()

    def _meet_rate(self, question: Admit, rate: Rate, hold: Hold) -> Standing:
        gcra, now = gcra_of(rate.limit), int(self._clock.monotonic() * _MICROSECONDS)
        cells = self._cells(tag_of(question.call, rate), name_of(question.call, rate, ""))
        before = cells.arrival, cells.rest
        fits = cells.take(gcra, now)
        if fits:
            hold.cells.append((cells, *before))
        ahead = cells.ahead(now)
        return Standing(rate, fits, gcra.remaining(*ahead), full_in(*ahead), 0.0 if fits else gcra.wait(*ahead))

    def _meet_quota(self, question: Admit, quota: Quota, hold: Hold) -> Standing:
        now, tenant = self._clock.now(), question.call.require_customer().tenant
        period = period_of(now)
        reset = period_end(period) - now
        if quota.unbounded:
            hold.quotas.append((0, ()))
            return Standing(quota, True, None, reset)
        lease = self._known(tag_of(question.call, quota), name_of(question.call, quota, period))
        told = None if lease is None or not lease.told_at else lease.left + lease.idle
        by_tenant = self._units((tenant_tag(tenant.id), quota.metric, period, quota.cap), _least(quota.cap, told))
        by_org = self._units((org_tag(tenant.org), quota.metric, period, quota.org_cap), quota.org_cap)
        fits_tenant, fits_org = by_tenant.fits(quota.units, quota.cap), by_org.fits(quota.units, quota.org_cap)
        fits = fits_tenant and fits_org
        taken = quota.units if fits or quota.shadow else 0
        by_tenant.give(-taken)
        by_org.give(-taken)
        hold.quotas.append((taken, (by_tenant, by_org)))
        left = max(0, min(units.left for units in (by_tenant, by_org) if units.left is not None))
        return Standing(quota, fits, left, reset, 0.0 if fits else reset, by_org=fits_tenant and not fits)

    def _meet_slot(self, question: Admit, slot: Slot, hold: Hold) -> Standing:
        tag, name = tag_of(question.call, slot), name_of(question.call, slot, "")
        lease, places = self._known(tag, name), self._place((tag, name))
        # Requests that were admitted while the store was there are running still.
        held = places.held + (0 if lease is None else lease.busy)
        fits = held < slot.limit
        if fits:
            places.held += 1
            hold.places.append(places)
        return Standing(slot, fits, max(0, slot.limit - held - 1), wait=0.0 if fits else 1.0)

    def _cells(self, tag: str, name: Hashable) -> Cells:
        shelf, most = (self._strangers, _STRANGERS) if tag.startswith("client:") else (self._rates, _OWNERS)
        owned = shelf.setdefault(tag, OrderedDict())
        shelf.move_to_end(tag)
        cells = owned.setdefault(name, Cells())
        owned.move_to_end(name)
        if len(owned) > _OWN:
            owned.popitem(last=False)
        if len(shelf) > most:
            shelf.popitem(last=False)
        return cells

    def _units(self, name: Hashable, left: int | None) -> Units:
        if name not in self._quotas:
            _check_room(len(self._quotas), _QUOTAS)
            self._quotas[name] = Units(left)
        return self._quotas[name]

    def _place(self, name: Hashable) -> Places:
        if name not in self._places and len(self._places) >= _SLOTS:
            self._places = {known: places for known, places in self._places.items() if places.held}
            _check_room(len(self._places), _SLOTS)
        return self._places.setdefault(name, Places())


def _least(cap: int | None, told: int | None) -> int | None:
    return cap if cap is None or told is None else min(cap, told)


def _check_room(count: int, most: int) -> None:
    if count >= most:
        raise Refused(STORE_UNAVAILABLE, "Too much was used since the state store was lost.", retry_after=1)
