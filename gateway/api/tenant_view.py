"""A tenant as the operator API shows it: with its public widget key, never with a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.tenant import Tenant

from .tenant_fields import ALIASED_CAP, QUOTA_ALIAS


def timestamp(instant: float) -> str:
    """Seconds since 1970 in the form of RFC 3339, to the second, in UTC: `2026-06-21T11:00:00Z`."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tenant_view(tenant: Tenant, plans: Mapping[str, Plan], metrics: Iterable[Metric]) -> dict[str, object]:
    """`rate_limit` and `feature_flags` are the tenant's own, over the plan's; the caps are those in force."""
    profile = tenant.profile
    return {
        "tenant_id": str(tenant.id),
        "org": tenant.org,
        "slug": tenant.slug,
        "external_ref": tenant.external_ref,
        "name": tenant.name,
        "status": tenant.status.value,
        "suspend_reason": profile.suspend_reason,
        "schema": tenant.schema,
        "region": tenant.region,
        "plan_tier": tenant.plan,
        "rate_limit": None if tenant.rate is None else str(tenant.rate),
        **_caps(tenant, plans.get(tenant.plan, Plan(tenant.plan)), metrics),
        "agent_seats": profile.agent_seats,
        "feature_flags": dict(tenant.features),
        "origins": list(tenant.origins),
        "callback_url": profile.callback_url,
        "stripe_customer_id": profile.stripe_customer_id,
        **profile.branding,
        "widget_public_key": widget_key(tenant),
        "created_at": timestamp(tenant.created_at),
        "updated_at": timestamp(tenant.updated_at),
    }


def widget_key(tenant: Tenant) -> str | None:
    """The present widget key; one that only has its grace left is not shown."""
    return next((key.value for key in tenant.widget_keys if key.not_after is None), None)


def _caps(tenant: Tenant, plan: Plan, metrics: Iterable[Metric]) -> dict[str, object]:
    caps: dict[str, object] = {metric.cap: tenant.cap(metric.name, plan) for metric in metrics}
    if ALIASED_CAP in caps:
        caps[QUOTA_ALIAS] = caps[ALIASED_CAP]
    return caps
