"""How a request ends: what it held is counted, or free again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import STORE_UNAVAILABLE, TENANT_QUOTA_EXCEEDED, Refused

from .charge import Charge, Drawn, Effect, Outcome
from .exchange import AT_ONCE, LATER, Exchange
from .items import Commit, Drop, HeldResource, Made, Refund
from .lease import Lease

# Seconds that the end of an answer waits for its units to be counted.
_PATIENCE = 1.0


class Receipt:
    """That units were counted, once they are."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = commits

    async def wait(self) -> None:
        """Raises Refused where they were not: STORE_UNAVAILABLE when nobody knows within a second, TENANT_QUOTA_EXCEEDED where
        the store had given them to others meanwhile."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for commit in self._commits:
                    if not await asyncio.shield(commit.done):
                        raise Refused(TENANT_QUOTA_EXCEEDED, "The units that the request held had come to their end.")
        except TimeoutError:
            raise Refused(STORE_UNAVAILABLE, "What the request used could not be counted.", retry_after=1) from None


class Settlement:
    """`restore` is told of units of a lease that a request does not hold any more, and has not used."""

    def __init__(self, exchange: Exchange, restore: Callable[[Lease, int], None]) -> None:
        self._exchange = exchange
        self._restore = restore

    def count(self, charge: Charge, told: int | None) -> Receipt | None:
        """Have all units of `charge` counted that are not yet; `told` of them where the upstream tells. None: nobody waits."""
        awaited = []
        for drawn in charge.units:
            if drawn.commit is None:
                commit = drawn.commit = self._commit(drawn, told)
                if not drawn.lazy:
                    awaited.append(commit)
        return Receipt(awaited) if awaited else None

    def settle(self, charge: Charge, outcome: Outcome, told: int | None, effect: Effect) -> None:
        if charge.settled:
            return
        charge.settled = True
        if outcome is Outcome.REFUND:
            for drawn in charge.units:
                self._refund(drawn)
        else:
            self.count(charge, told)
        for lease in charge.slots:
            self._restore(lease, 1)
        for held in charge.resources:
            self._settle_resource(held, effect)

    def _commit(self, drawn: Drawn, told: int | None) -> Commit:
        units = told if drawn.told and told is not None else drawn.units
        held = min(units, drawn.units)
        if drawn.lease is not None and held < drawn.units:
            self._restore(drawn.lease, drawn.units - held)
        drawn.counted = units
        return self._exchange.commit(drawn.counters, drawn.lease, units=units, held=held, lazy=drawn.lazy)

    def _refund(self, drawn: Drawn) -> None:
        if drawn.commit is None:
            if drawn.lease is not None:
                self._restore(drawn.lease, drawn.units)
        elif drawn.commit.done.done():
            self._uncount(drawn)
        else:
            # Only what was counted: whether it was is known when the answer has come.
            drawn.commit.done.add_done_callback(lambda _: self._uncount(drawn))

    def _uncount(self, drawn: Drawn) -> None:
        assert drawn.commit is not None
        if not drawn.commit.done.result():
            return
        counters, units = drawn.counters, drawn.counted
        for key in (counters.bucket.tenant, counters.bucket.org):
            self._exchange.add(Refund(key, counters.bucket.metric, units), LATER)
        if counters.credential is not None:
            self._exchange.add(Refund(counters.credential, counters.field, units), LATER)

    def _settle_resource(self, held: HeldResource, effect: Effect) -> None:
        if held.holder is None:
            if effect is Effect.DONE:
                self._exchange.add(Refund(held.counts, held.resource, 1), AT_ONCE)
        elif effect is Effect.DONE:
            self._exchange.add(Made(held), AT_ONCE)
        elif effect is Effect.NOTHING:
            self._exchange.add(Drop(held.key, held.holder), AT_ONCE)
