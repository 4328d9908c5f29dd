"""How far the use of each tenant was told to those who bill it.

What is told is noted before it is: until it is known to have arrived, the same units are told again under the same id, whatever
was counted meanwhile. So a crash at any point neither loses units nor bills them twice, where the receiver knows an id again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from gateway.ledger.naming import expiry_of
from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.store.script import Script
from gateway.store.wire import Part
from gateway.tenancy.tenant import Tenant

from .use import Use

_CLAIM = Script.load("gateway.billing", "claim")
_ACCEPT = Script.load("gateway.billing", "accept")
# So long after its end a day's requests may still be given back.
_SETTLED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Up to `end` units of a day's count have arrived where they are billed."""

    tenant: UUID
    metric: str
    day: date
    end: int


class Billed:
    """`sink` names who bills; each is told everything. `now` is in seconds since 1970. Everything raises
    Refused(STORE_UNAVAILABLE, WRITE_NOT_DURABLE)."""

    def __init__(self, store: Store, usage: Usage, now: Callable[[], float]) -> None:
        self._store = store
        self._usage = usage
        self._now = now

    async def claim(self, sink: str, tenants: Sequence[Tenant], period: str) -> list[Use]:
        """What these tenants used in the period on days that are over, and was not accepted yet."""
        found: list[Use] = []
        used = await self._usage.of_tenants_by_day([tenant.id for tenant in tenants], period)
        for tenant, by_day in zip(tenants, used, strict=True):
            counts = [(day, *one) for day, units in by_day.items() if self._over(day) for one in sorted(units.items())]
            if counts:
                found += await self._claim(sink, tenant, period, counts)
        if found:
            await self._store.durable.wait()
        return found

    async def accept(self, sink: str, accepted: Iterable[Accepted]) -> int:
        """How many of these had been claimed; what is accepted twice counts twice."""

        def place(one: Accepted) -> tuple[UUID, str]:
            return one.tenant, one.day.isoformat()[:7]

        count = 0
        for (tenant, period), ours in groupby(sorted(accepted, key=place), place):
            args: list[Part] = [part for one in ours for part in (_field(sink, one.metric, one.day), one.end)]
            answer = await self._store.control.run(_ACCEPT, [self._store.keys.billed(tenant_tag(tenant), period)], args)
            assert isinstance(answer, int)
            count += answer
        if count:
            await self._store.durable.wait()
        return count

    async def _claim(self, sink: str, tenant: Tenant, period: str, counts: Sequence[tuple[date, str, int]]) -> list[Use]:
        args: list[Part] = [expiry_of(period)]
        for day, metric, units in counts:
            args += (_field(sink, metric, day), units)
        reply = await self._store.control.run(_CLAIM, [self._store.keys.billed(tenant_tag(tenant.id), period)], args)
        assert isinstance(reply, list)
        numbers = [number for number in reply if isinstance(number, int)]
        customer = tenant.profile.stripe_customer_id
        return [
            Use(tenant.org, tenant.id, customer, metric, day, start, end)
            for (day, metric, _), start, end in zip(counts, numbers[::2], numbers[1::2], strict=True)
            if end > start
        ]

    def _over(self, day: date) -> bool:
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        return (end + _SETTLED).timestamp() <= self._now()


def _field(sink: str, metric: str, day: date) -> str:
    return f"{sink} {metric} {day.isoformat()}"
