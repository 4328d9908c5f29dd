"""`usage`: what the tenants of a platform have used; and, of `tenants`, what one has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gateway.api.accept import prefers
from gateway.api.cursor import SCORE, UUID_FORM, Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, Outcome, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.pieces import Pieces
from gateway.api.shape import Shape
from gateway.api.usage_table import CSV, usage_table
from gateway.errors import NOT_FOUND, PLATFORM_ONLY
from gateway.tenancy.period import PERIOD, period_end, period_of
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant

from .billing import BoundShown, bound


def _period(text: str) -> str:
    if not PERIOD.fullmatch(text) or not text.startswith("20"):
        raise ValueError("must be a calendar month such as 2026-04")
    return text


Period = Annotated[
    str, AfterValidator(_period), Field(description="A calendar month in UTC, such as `2026-04`; absent: the present one.")
]


class OneTenantsUse(Input):
    tenant_id: TenantId
    period: Period | None = None
    group_by: Annotated[Literal["key"] | None, Field(description="`key`: what each API key has used, too.")] = None
    granularity: Annotated[Literal["day"] | None, Field(description="`day`: what was used on each day, too.")] = None


class AllUse(Paged):
    period: Period | None = None


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


class OrgUsed(Shape):
    id: str
    metrics: dict[str, BoundShown]


class TenantUsed(Shape):
    tenant_id: str
    slug: str
    external_ref: str | None
    metrics: dict[str, BoundShown]


class UsagePage(listed(TenantUsed)):  # type: ignore[misc]  # made at run time
    """The whole organization's use, and a page of what its tenants have used, the newest tenant first."""

    period: str
    org: OrgUsed


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def of_tenant(self, asked: Asked[OneTenantsUse, Nothing]) -> Answered:
        wanted, parts = asked.parameters, self._parts
        asked.caller.check_may_name(wanted.tenant_id)
        tenant = await parts.tenants.get(wanted.tenant_id)
        asked.caller.check_sees(tenant.org, tenant.id)
        period = self._period(wanted.period)
        used = await parts.usage.of_tenant(tenant.id, period)
        shown: dict[str, object] = {"tenant_id": tenant.typeid, "period": period, "metrics": self._bounds(tenant, used)}
        if wanted.group_by is not None:
            by_key = await parts.usage.by_credential(tenant.id, period)
            shown["keys"] = [{"key_id": name, "metrics": self._all(by_key[name])} for name in sorted(by_key)]
        if wanted.granularity is not None:
            by_day = await parts.usage.by_day(tenant.id, period)
            days = _days_of(period, parts.clock.now())
            shown["days"] = [{"day": day.isoformat(), "metrics": self._all(by_day.get(day, {}))} for day in days]
        return Answered(shown)

    async def of_all(self, asked: Asked[AllUse, Nothing]) -> Outcome:
        wanted, parts, org = asked.parameters, self._parts, asked.caller.require_org()
        period = self._period(wanted.period)
        if prefers(asked.accept, CSV):
            headers = {"Content-Disposition": f'attachment; filename="usage-{period}.csv"', "Vary": "Accept"}
            return Pieces(usage_table(parts, org, period), f"{CSV}; charset=utf-8", headers)
        below = position_of(wanted.cursor, SCORE, UUID_FORM)
        tenants, end = await parts.tenant_list.page(org, wanted.limit, below)
        used = await parts.usage.of_tenants([tenant.id for tenant in tenants], period)
        caps, of_org = parts.orgs[org].quotas, await parts.usage.of_org(org, period)
        total = {name: bound(caps.get(name), of_org.get(name, 0)) for name in parts.metrics}
        rows = [self._row(tenant, of_one) for tenant, of_one in zip(tenants, used, strict=True)]
        shown = {"period": period, "org": {"id": org, "metrics": total}, **page(rows, end)}
        return Answered(shown, headers={"Vary": "Accept"})

    def _period(self, wanted: str | None) -> str:
        return period_of(self._parts.clock.now()) if wanted is None else wanted

    def _row(self, tenant: Tenant, used: Mapping[str, int]) -> dict[str, object]:
        named = {"tenant_id": tenant.typeid, "slug": tenant.slug, "external_ref": tenant.external_ref}
        return {**named, "metrics": self._bounds(tenant, used)}

    def _bounds(self, tenant: Tenant, used: Mapping[str, int]) -> dict[str, object]:
        plan = self._parts.plans.get(tenant.plan, Plan(tenant.plan))
        return {name: bound(tenant.cap(name, plan), used.get(name, 0)) for name in self._parts.metrics}

    def _all(self, used: Mapping[str, int]) -> dict[str, int]:
        return {name: used.get(name, 0) for name in self._parts.metrics}


def _days_of(period: str, now: float) -> Iterable[date]:
    """The days of the period up to today."""
    day, today = date.fromisoformat(f"{period}-01"), datetime.fromtimestamp(now, UTC).date()
    end = min(datetime.fromtimestamp(period_end(period), UTC).date(), today + timedelta(days=1))
    while day < end:
        yield day
        day += timedelta(days=1)


def tenant_usage_endpoint(parts: Parts) -> Endpoint:
    """Below the tenants' path."""
    return endpoint(
        "GET",
        "/{tenant_id}/usage",
        _Calls(parts).of_tenant,
        name="getTenantUsage",
        summary="Show what a tenant has used in a month",
        parameters=OneTenantsUse,
        body=Nothing,
        answer=TenantUsage,
        scope="read:usage",
        errors=(NOT_FOUND,),
        example=Example(_ONE, parameters={"tenant_id": _ID, "period": "2026-04", "group_by": "key", "granularity": "day"}),
    )


def usage_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    return (
        endpoint(
            "GET",
            "",
            _Calls(parts).of_all,
            name="getUsage",
            summary="Show what an organization and each of its tenants have used in a month",
            parameters=AllUse,
            body=Nothing,
            answer=UsagePage,
            scope="read:usage",
            platform_only=PLATFORM_ONLY,
            media=(CSV,),
            example=Example(_ALL, parameters={"period": "2026-04"}),
        ),
    )


_ID = "tnt_01kj9je6hbfgyrwkttbdjcv7gf"
_EMAILS = {"emails": {"cap": 5000, "used": 4711, "remaining": 289}}
# Any: JSON of several levels.
_ONE: dict[str, Any] = {
    "tenant_id": _ID,
    "period": "2026-04",
    "metrics": _EMAILS,
    "keys": [{"key_id": "key_01kj9je6hbfgyrwkttbdjcv7gg", "metrics": {"emails": 4711}}],
    "days": [{"day": "2026-04-01", "metrics": {"emails": 4711}}],
}
_ALL: dict[str, Any] = {
    "period": "2026-04",
    "org": {"id": "demo", "metrics": {"emails": {"cap": None, "used": 4711, "remaining": None}}},
    "data": [{"tenant_id": _ID, "slug": "acme", "external_ref": "cust_12345", "metrics": _EMAILS}],
    "next_cursor": None,
}
