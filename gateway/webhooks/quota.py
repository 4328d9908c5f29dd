"""Tells webhooks that a tenant has used up a cap. Requests that are refused for it only leave a note; none waits."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cachetools import TTLCache

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.pipeline.demand import Quota
from gateway.pipeline.question import Admit, Denied
from gateway.registry.webhooks import Webhooks
from gateway.store.connect import Store
from gateway.tenancy.period import period_of

from .event import quota_exceeded
from .follow import wanting
from .queue import Queue

_log = logging.getLogger(__name__)

# Seconds for which the same is not looked at again; how much of it is remembered; how much may wait.
_AGAIN, _REMEMBERED, _WAITING = 60.0, 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Used:
    """A cap that leaves no room for the units of a request in this period."""

    org: str
    tenant: UUID
    metric: str
    period: str
    cap: int


class QuotaWatch:
    """Each is told once, whichever worker refuses first. Where the store can't be reached it is tried again with a refusal of a
    minute later; what a worker that is killed has just noted, others note as well, if requests still come."""

    def __init__(self, store: Store, webhooks: Webhooks, queue: Queue, clock: Clock) -> None:
        self._store = store
        self._webhooks = webhooks
        self._queue = queue
        self._clock = clock
        self._seen: TTLCache[Used, bool] = TTLCache(_REMEMBERED, _AGAIN, clock.monotonic)
        self._waiting: dict[Used, float] = {}
        self._task: asyncio.Task[None] | None = None

    def denied(self, question: Admit, verdict: Denied) -> None:
        customer = question.call.customer
        if customer is None:
            return
        now = self._clock.now()
        for standing in verdict.standings:
            demand = standing.demand
            if standing.admitted or standing.by_org or not isinstance(demand, Quota) or demand.shadow or demand.cap is None:
                continue
            used = Used(customer.tenant.org, customer.tenant.id, demand.metric, period_of(now), demand.cap)
            if used not in self._seen and len(self._waiting) < _WAITING:
                self._seen[used] = True
                self._waiting[used] = now
        if self._waiting and self._task is None:
            self._task = asyncio.create_task(self._tell())

    async def told(self) -> None:
        """Until all that was noted is queued, or has failed."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await self.told()

    async def _tell(self) -> None:
        try:
            while self._waiting:
                used, at = self._waiting.popitem()
                with suppress(Refused):
                    await self._queue_once(used, at)
        except Exception:
            _log.exception("quota events were not queued")
        finally:
            self._task = None

    async def _queue_once(self, used: Used, at: float) -> None:
        instant = datetime.fromtimestamp(at, UTC).isoformat()
        event = quota_exceeded(used.org, used.tenant, used.metric, used.period, used.cap, instant)
        arrivals = []
        for owner in (used.org, used.tenant):
            record = await self._webhooks.record(owner)
            arrivals += [] if record is None else wanting(used.org, owner, record.webhooks, event)
        if arrivals:
            key = self._store.keys.quota_told(used.org, used.tenant, used.metric, used.period, used.cap)
            await self._queue.once(used.org, key, arrivals, at)
