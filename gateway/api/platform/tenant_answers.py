"""How the platform's API shows a tenant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import create_model

from gateway.api.parameters import Input, TenantId
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.tenant import Status, Tenant


class OneTenant(Input):
    tenant_id: TenantId


class TenantShown(Shape):
    """A tenant. Its caps are those in force, its own or its plan's; null: unlimited within the organization's plan."""

    id: str
    slug: str
    """Never changes."""
    external_ref: str | None
    """The platform's own id of it."""
    name: str
    status: Status
    suspend_reason: str | None
    plan: str
    region: str | None
    rate_limit: str | None
    """The tenant's own; null: its plan's holds."""
    features: dict[str, bool]
    """The tenant's own, over its plan's."""
    created_at: str
    updated_at: str


NAMED = {"tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf"}
EXAMPLE: dict[str, object] = {
    "id": NAMED["tenant_id"],
    "slug": "acme",
    "external_ref": "cust_12345",
    "name": "Acme Corp",
    "status": "active",
    "suspend_reason": None,
    "plan": "pro",
    "region": None,
    "rate_limit": None,
    "features": {},
    "monthly_email_cap": 5000,
    "created_at": "2026-06-21T10:00:00Z",
    "updated_at": "2026-06-21T11:00:00Z",
}


def tenant_shown(tenant: Tenant, plan: Plan, metrics: Iterable[Metric]) -> dict[str, object]:
    return {
        "id": tenant.typeid,
        "slug": tenant.slug,
        "external_ref": tenant.external_ref,
        "name": tenant.name,
        "status": tenant.status.value,
        "suspend_reason": tenant.profile.suspend_reason,
        "plan": tenant.plan,
        "region": tenant.region,
        "rate_limit": None if tenant.rate is None else str(tenant.rate),
        "features": dict(tenant.features),
        **{metric.cap: tenant.cap(metric.name, plan) for metric in metrics},
        "created_at": timestamp(tenant.created_at),
        "updated_at": timestamp(tenant.updated_at),
    }


def shown_model(metrics: Iterable[Metric]) -> type[TenantShown]:
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = {metric.cap: (int | None, None) for metric in metrics}
    return create_model("Tenant", __base__=TenantShown, **fields)


def view_of(tenant: Tenant, parts: Parts) -> dict[str, object]:
    return tenant_shown(tenant, parts.plans.get(tenant.plan, Plan(tenant.plan)), parts.metrics.values())
