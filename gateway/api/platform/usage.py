"""`usage`: what the tenants of a platform have used; and, of `tenants`, what one has."""

from __future__ import annotations

from typing import Any

from gateway.api.accept import prefers
from gateway.api.bound import BoundShown, bound
from gateway.api.cursor import SCORE, UUID_FORM, Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, Outcome, endpoint
from gateway.api.parameters import Nothing
from gateway.api.parts import Parts
from gateway.api.pieces import Pieces
from gateway.api.shape import Shape
from gateway.api.usage_table import CSV, usage_table
from gateway.api.usage_view import (
    EXAMPLE_OF,
    EXAMPLE_USE,
    GroupBy,
    KeyUsed,
    OneTenantsUse,
    Period,
    TenantUsage,
    bounds,
    keys_shown,
    period_or_now,
    usage_shown,
)
from gateway.errors import NOT_FOUND, PLATFORM_ONLY


class AllUse(Paged):
    period: Period | None = None
    group_by: GroupBy | None = None


class OrgUsed(Shape):
    id: str
    metrics: dict[str, BoundShown]
    keys: list[KeyUsed] | None = None
    """With `group_by=key`: what each of its own keys has used, for all tenants together."""


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
        return Answered({"tenant_id": tenant.typeid, **await usage_shown(parts, tenant, wanted)})

    async def of_all(self, asked: Asked[AllUse, Nothing]) -> Outcome:
        wanted, parts, org = asked.parameters, self._parts, asked.caller.require_org()
        period = period_or_now(parts, wanted.period)
        if prefers(asked.accept, CSV):
            headers = {"Content-Disposition": f'attachment; filename="usage-{period}.csv"', "Vary": "Accept"}
            return Pieces(usage_table(parts, org, period), f"{CSV}; charset=utf-8", headers)
        below = position_of(wanted.cursor, SCORE, UUID_FORM)
        tenants, end = await parts.tenant_list.page(org, wanted.limit, below)
        used = await parts.usage.of_tenants([tenant.id for tenant in tenants], period)
        caps, of_org = parts.orgs[org].quotas, await parts.usage.of_org(org, period)
        total = {name: bound(caps.get(name), of_org.get(name, 0)) for name in parts.metrics}
        of_org_shown: dict[str, object] = {"id": org, "metrics": total}
        if wanted.group_by is not None:
            of_org_shown["keys"] = keys_shown(parts, await parts.usage.by_platform_key(org, period))
        rows = [
            {
                "tenant_id": tenant.typeid,
                "slug": tenant.slug,
                "external_ref": tenant.external_ref,
                "metrics": bounds(parts, tenant, of_one),
            }
            for tenant, of_one in zip(tenants, used, strict=True)
        ]
        shown = {"period": period, "org": of_org_shown, **page(rows, end)}
        return Answered(shown, headers={"Vary": "Accept"})


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
        example=Example(EXAMPLE_USE, parameters={"tenant_id": EXAMPLE_USE["tenant_id"], **EXAMPLE_OF}),
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


# Any: JSON of several levels.
_ALL: dict[str, Any] = {
    "period": "2026-04",
    "org": {"id": "demo", "metrics": {"emails": {"cap": None, "used": 4711, "remaining": None}}},
    "data": [
        {
            "tenant_id": EXAMPLE_USE["tenant_id"],
            "slug": "acme",
            "external_ref": "cust_12345",
            "metrics": EXAMPLE_USE["metrics"],
        }
    ],
    "next_cursor": None,
}
