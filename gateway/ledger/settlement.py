"""How a request ends: what it held is counted, or free again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from itertools import chain

from gateway.errors import Refused

from .charge import Charge, Drawn, Effect, Outcome
from .deferral import Deferral
from .exchange import AT_ONCE, LATER, Exchange
from .items import Commit, Drop, HeldResource, Made, Refund
from .lease import Lease
from .receipt import Receipt

_log = logging.getLogger(__name__)


class Settlement:
    """`restore` is told of units of a lease that a request does not hold any more, and has not used. `deferral` counts what the
    store can't be told of, for requests that go on without it."""

    def __init__(self, exchange: Exchange, restore: Callable[[Lease, int], None], deferral: Deferral | None = None) -> None:
        self._exchange = exchange
        self._restore = restore
        self._deferral = deferral

    def count(self, charge: Charge, told: int | None) -> Receipt | None:
        """Have all units of `charge` counted that are not yet; `told` of them where the upstream tells. None: nobody waits.

        Raises Refused(STORE_UNAVAILABLE) where they go to the journal, and it takes nothing more.
        """
        deferral = self._deferral if charge.goes_on else None
        if deferral is not None and (charge.hold is not None or self._stalled(charge)):
            for drawn in charge.units:
                if drawn.commit is None and not drawn.journaled:
                    self._defer(deferral, drawn, told)
            return None
        awaited = []
        for drawn in charge.units:
            if drawn.commit is None and not drawn.journaled:
                commit = drawn.commit = self._commit(drawn, told)
                if not drawn.lazy:
                    awaited.append(commit)
        charge.counted = True
        if not awaited:
            return None
        return Receipt(awaited, None if deferral is None else partial(self._defer_unknown, deferral, charge))

    def settle(self, charge: Charge, outcome: Outcome, told: int | None, effect: Effect) -> None:
        if charge.settled:
            return
        charge.settled = True
        if outcome is Outcome.REFUND:
            for drawn in charge.units:
                self._refund(drawn)
        elif not charge.counted:
            try:
                self.count(charge, told)
            except Refused as refused:
                _log.error("units that were used are not counted: %s", refused)
        if charge.hold is not None:
            assert self._deferral is not None
            self._deferral.free(len(charge.units))
            charge.hold.end([0 if outcome is Outcome.REFUND else drawn.counted for drawn in charge.units])
        for lease in charge.slots:
            self._restore(lease, 1)
        for held in charge.resources:
            self._settle_resource(held, effect)

    def _stalled(self, charge: Charge) -> bool:
        return any(self._exchange.stalled(drawn.counters.at) for drawn in charge.units)

    def _commit(self, drawn: Drawn, told: int | None) -> Commit:
        units = held = drawn.units
        if drawn.told and told is not None:
            units, held = told, min(told, drawn.units)
            if drawn.lease is not None and held < drawn.units:
                self._restore(drawn.lease, drawn.units - held)
        drawn.counted = units
        return self._exchange.commit(drawn.counters, drawn.lease, units=units, held=held, lazy=drawn.lazy)

    def _defer(self, deferral: Deferral, drawn: Drawn, told: int | None) -> None:
        deferral.count(drawn, told if drawn.told and told is not None else drawn.units)
        if drawn.lease is not None:
            # They are neither idle nor in use: the store takes them back with the end of the lease.
            drawn.lease.busy -= drawn.units

    def _defer_unknown(self, deferral: Deferral, charge: Charge) -> None:
        for drawn in charge.units:
            if drawn.commit is not None and not drawn.lazy and not drawn.commit.done.done() and not drawn.journaled:
                deferral.count_instead(drawn, drawn.commit)

    def _refund(self, drawn: Drawn) -> None:
        if drawn.commit is None:
            if drawn.journaled:
                self._take_out(drawn)
            elif drawn.lease is not None:
                self._restore(drawn.lease, drawn.units)
        elif drawn.commit.done.done():
            self._uncount(drawn)
        else:
            # Only what was counted: whether it was is known when the answer has come.
            drawn.commit.done.add_done_callback(lambda _: self._uncount(drawn))

    def _uncount(self, drawn: Drawn) -> None:
        assert drawn.commit is not None
        if not drawn.commit.done.result():
            self._take_out(drawn)
            return
        for refund in chain.from_iterable(drawn.counters.refunds(drawn.counted)):
            self._exchange.add(refund, LATER)

    def _take_out(self, drawn: Drawn) -> None:
        if self._deferral is not None and drawn.journaled:
            self._deferral.uncount(drawn)

    def _settle_resource(self, held: HeldResource, effect: Effect) -> None:
        if held.holder is None:
            if effect is Effect.DONE:
                self._exchange.add(Refund(held.counts, held.resource, 1), AT_ONCE)
        elif effect is Effect.DONE:
            self._exchange.add(Made(held), AT_ONCE)
        elif effect is Effect.NOTHING:
            self._exchange.add(Drop(held.key, held.holder), AT_ONCE)
