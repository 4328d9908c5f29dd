"""Admitting a request by what this worker holds already: no call, no wait."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.clock import Clock
from gateway.pipeline.demand import Quota, Release, Slot, Standing
from gateway.pipeline.lookup import Record
from gateway.pipeline.memo import IdentityMemo
from gateway.pipeline.question import Admit
from gateway.store.connect import Store
from gateway.store.lease import RECORD_LEASE
from gateway.tenancy.period import period_end, period_of

from .charge import Charge, draw, held_resource
from .exchange import LATER, Exchange
from .items import RenewRecord
from .naming import record_keys
from .place import TOUCH, Order, Place, Places, places_of
from .remembered import Remembered, Trust
from .standing import left_and_reset
from .upkeep import Upkeep


class Local:
    """What a worker can decide alone. Either all demands of a request are met, or nothing has happened.

    `period` is the present one, and ends at `period_ends`, on the monotonic clock; both as far as the store has told.
    """

    def __init__(self, store: Store, upkeep: Upkeep, exchange: Exchange, records: Remembered, clock: Clock) -> None:
        self._store = store
        self._upkeep = upkeep
        self._exchange = exchange
        self._records = records
        self._clock = clock
        self._known = IdentityMemo[Places]()
        self.period = period_of(clock.now())
        self.period_ends = clock.monotonic() + period_end(self.period) - clock.now()

    def order(self, question: Admit) -> Order:
        """What can be taken for any request that asks the same."""
        period, trusts = self.period, self._trusts(question.basis)
        if not question.fixed:
            return Order(question, period, places_of(question, period), trusts)
        call = question.call
        subjects = (question.demands, call.principal, call.customer, call.route, period)
        return Order(question, period, self._known(lambda: places_of(question, period), *subjects), trusts)

    def _trusts(self, basis: Sequence[Record]) -> Sequence[Trust] | None:
        trusts = []
        for record in basis:
            trust = self._records.trust(record)
            if trust is None:
                return None
            trusts.append(trust)
        return trusts

    def take(self, order: Order) -> Charge | None:
        """What is to be settled for an admitted request; None where the store has to be asked."""
        now, trusts, places = self._clock.monotonic(), order.trusts, order.places
        if trusts is None or not places.is_local or order.period != self.period:
            return None
        if now >= self.period_ends and places.has_quota:
            return None
        soonest = now + RECORD_LEASE
        for trust in trusts:
            if trust.until < soonest:
                soonest = trust.until
        if soonest <= now or not self._hold(places.bounded, now):
            return None
        if soonest - now < RECORD_LEASE / 2:
            for record in order.question.basis:
                self._renew(record)
        return self._charge(order, now)

    def standings(self, order: Order) -> Sequence[Standing]:
        """Of a request for which `order` has just been taken."""
        now = self._clock.monotonic()
        return tuple([place.standing(now, self.period_ends - now) for place in order.places.all])

    def numbers(self, order: Order) -> Sequence[tuple[int, float]]:
        """The same in short: of each place what remains, and the seconds until it is full or its period ends; zeros where
        nothing bounds it."""
        now, numbers = self._clock.monotonic(), []
        left = self.period_ends - now
        for place in order.places.all:
            lease = place.lease
            numbers.append((0, 0.0) if lease is None else left_and_reset(place.demand, lease, now, left))
        return numbers

    def _hold(self, places: Sequence[Place], now: float) -> bool:
        """Set aside what is demanded, if it is there."""
        book = self._upkeep.book
        for count, place in enumerate(places):
            lease = place.lease
            if lease is None or lease.over or now - place.looked >= TOUCH:
                lease = place.find(book, now)
            if lease is None or not lease.hold(place.units, now):
                for held in places[:count]:
                    held.let_go()
                return False
        return True

    def _charge(self, order: Order, now: float) -> Charge:
        """Hand out what was set aside: the request is admitted."""
        question = order.question
        charge, call = Charge(goes_on=question.stale_for is not None), question.call
        for place in order.places.all:
            demand, lease = place.demand, place.lease
            if place.is_rate and lease is not None:
                lease.hand_out(place.units)
            elif isinstance(demand, Quota):
                drawn = draw(self._store, call, demand, lease, order.period, place.counters)
                charge.units += (drawn,)
                place.counters = drawn.counters
            elif isinstance(demand, Slot) and lease is not None:
                charge.slots += (lease,)
            elif isinstance(demand, Release):
                charge.resources += (held_resource(self._store, call, demand, None),)
            if lease is not None and lease.idle <= lease.low_at:
                self._upkeep.refill(lease, now)
        return charge

    def _renew(self, record: Record) -> None:
        if self._records.lease_left(record) >= RECORD_LEASE / 2:
            return

        def renewed(asked: float | None) -> None:
            if asked is None:
                self._records.forget(record)
            else:
                self._records.learn(record, asked)

        item = RenewRecord(*record_keys(self._store.keys, record), record.version, renewed)
        self._exchange.add(item, LATER, ("record", record.id))
