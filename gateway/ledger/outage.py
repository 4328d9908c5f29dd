"""Routes that go on while the store can't be reached (`on_store_failure: allow`): by records as they were, by this worker's own
limits, and by a journal of what is to be counted."""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.demand import Quota
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.tenancy.period import period_of
from gateway.tenancy.tenant import Status, Tenant

from .charge import Charge, draw
from .deferral import Deferral
from .ledger import Ledger
from .standby import Standby

# Seconds; while the store is out, one request in so many waits for it, so that its return is noticed.
_ASK_EVERY = 0.1


class Outage:
    """`age` tells how many seconds ago a record was current. `served` is told of each request that was admitted without the
    store, by its route."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        standby: Standby,
        deferral: Deferral | None,
        age: Callable[[Record], float],
        clock: Clock,
        served: Callable[[str], None] = lambda route: None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._standby = standby
        self._deferral = deferral
        self._age = age
        self._clock = clock
        self._served = served
        self._lasts = False
        self._ask_at = 0.0

    async def admit(self, question: Admit) -> Granted | Denied | Changed:
        """As `Ledger.admit`, and by what is known here where the store can't be reached and the request goes on all the same.

        Raises Refused(STORE_UNAVAILABLE).
        """
        if question.stale_for is None or self._deferral is None:
            return await self._ledger.admit(question)
        now = self._clock.monotonic()
        if not self._lasts or now >= self._ask_at:
            self._ask_at = now + _ASK_EVERY
            try:
                verdict = await self._ledger.admit(question)
            except Refused as refused:
                if refused.problem is not STORE_UNAVAILABLE:
                    raise
                self._lasts = True
            else:
                self._lasts = False
                return verdict
        return self._admit_alone(question, question.stale_for, self._deferral)

    def _admit_alone(self, question: Admit, stale_for: float, deferral: Deferral) -> Granted | Denied:
        for record in question.basis:
            self._check(record, stale_for)
        standings, hold = self._standby.take(question)
        if hold is None:
            return Denied(standings)
        quotas = [demand for demand in question.demands if isinstance(demand, Quota)]
        try:
            deferral.reserve(len(quotas))
        except Refused:
            hold.undo()
            raise
        period = period_of(self._clock.now())
        units = tuple(draw(self._store, question.call, quota, None, period) for quota in quotas)
        self._served(question.call.route)
        return Granted(standings, Charge(units, goes_on=True, hold=hold))

    def _check(self, record: Record, stale_for: float) -> None:
        if self._age(record) > stale_for:
            raise Refused(STORE_UNAVAILABLE, "What is known of the tenant is too old.", retry_after=1)
        # Whatever the route's policies let pass: reading as well, which they may allow where a tenant is suspended.
        if isinstance(record, Tenant) and record.status is not Status.ACTIVE:
            raise Refused(STORE_UNAVAILABLE, f"The tenant was {record.status} when the state store was lost.", retry_after=1)
