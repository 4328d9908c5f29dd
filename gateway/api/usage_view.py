"""What one tenant has used in a month, as both APIs show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gateway.tenancy.period import PERIOD, period_end, period_of
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant

from .bound import BoundShown, bound
from .parameters import Input, TenantId
from .parts import Parts
from .shape import Shape


def _period(text: str) -> str:
    if not PERIOD.fullmatch(text) or not text.startswith("20"):
        raise ValueError("must be a calendar month such as 2026-04")
    return text


Period = Annotated[
    str, AfterValidator(_period), Field(description="A calendar month in UTC, such as `2026-04`; absent: the present one.")
]


GroupBy = Annotated[Literal["key"], Field(description="`key`: what each API key has used, too.")]


class OneTenantsUse(Input):
    tenant_id: TenantId
    period: Period | None = None
    group_by: GroupBy | None = None
    granularity: Annotated[Literal["day"] | None, Field(description="`day`: what was used on each day, too.")] = None


class KeyUsed(Shape):
    key_id: str
    metrics: dict[str, int]


class DayUsed(Shape):
    day: str
    """In UTC: `2026-04-30`."""
    metrics: dict[str, int]


class TenantUsage(Shape):
    tenant_id: str
    period: str
    metrics: dict[str, BoundShown]
    """By name; the caps are those of today."""
    keys: list[KeyUsed] | None = None
    """With `group_by=key`."""
    days: list[DayUsed] | None = None
    """With `granularity=day`: each day of the period that has begun, also where nothing was used."""


def period_or_now(parts: Parts, wanted: str | None) -> str:
    return period_of(parts.clock.now()) if wanted is None else wanted


async def usage_shown(parts: Parts, tenant: Tenant, wanted: OneTenantsUse) -> dict[str, object]:
    """All of it but the tenant's id."""
    period = period_or_now(parts, wanted.period)
    shown: dict[str, object] = {
        "period": period,
        "metrics": bounds(parts, tenant, await parts.usage.of_tenant(tenant.id, period)),
    }
    if wanted.group_by is not None:
        shown["keys"] = keys_shown(parts, await parts.usage.by_credential(tenant.id, period))
    if wanted.granularity is not None:
        by_day = await parts.usage.by_day(tenant.id, period)
        days = _days_of(period, parts.clock.now())
        shown["days"] = [{"day": day.isoformat(), "metrics": _all(parts, by_day.get(day, {}))} for day in days]
    return shown


def bounds(parts: Parts, tenant: Tenant, used: Mapping[str, int]) -> dict[str, object]:
    plan = parts.plans.get(tenant.plan, Plan(tenant.plan))
    return {name: bound(tenant.cap(name, plan), used.get(name, 0)) for name in parts.metrics}


def keys_shown(parts: Parts, by_key: Mapping[str, Mapping[str, int]]) -> list[dict[str, object]]:
    return [{"key_id": name, "metrics": _all(parts, by_key[name])} for name in sorted(by_key)]


def _all(parts: Parts, used: Mapping[str, int]) -> dict[str, int]:
    return {name: used.get(name, 0) for name in parts.metrics}


def _days_of(period: str, now: float) -> Iterable[date]:
    """The days of the period up to today."""
    day, today = date.fromisoformat(f"{period}-01"), datetime.fromtimestamp(now, UTC).date()
    end = min(datetime.fromtimestamp(period_end(period), UTC).date(), today + timedelta(days=1))
    while day < end:
        yield day
        day += timedelta(days=1)


# Any: JSON of several levels.
EXAMPLE_USE: dict[str, Any] = {
    "tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf",
    "period": "2026-04",
    "metrics": {"emails": {"cap": 5000, "used": 4711, "remaining": 289}},
    "keys": [{"key_id": "key_01kj9je6hbfgyrwkttbdjcv7gg", "metrics": {"emails": 4711}}],
    "days": [{"day": "2026-04-01", "metrics": {"emails": 4711}}],
}
EXAMPLE_OF = {"period": "2026-04", "group_by": "key", "granularity": "day"}
