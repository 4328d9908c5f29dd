"""`billing_plan`: what a tenant may do, and what it has used."""

from __future__ import annotations

from typing import Any

from gateway.api.bound import BoundShown, bound
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.pipeline.call import Customer
from gateway.tenancy.period import period_end, period_of
from gateway.tenancy.plan import RateLimit


class RateShown(Shape):
    rate: str
    count: int
    window_seconds: int
    burst: int


class LimitsShown(Shape):
    rate: RateShown | None
    concurrency: int | None
    quotas: dict[str, BoundShown]
    resources: dict[str, BoundShown]


class PlanShown(Shape):
    tenant_id: str
    tenant: str
    plan: str
    period: str
    """A calendar month in UTC."""
    resets_at: str
    limits: LimitsShown
    features: dict[str, bool]


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._features = frozenset[str]().union(*(plan.features for plan in parts.plans.values()))

    async def show(self, asked: Asked[Nothing, Nothing]) -> Answered:
        customer = asked.caller.customer
        if customer is None:
            raise Refused(TENANT_HEADER_MISSING)
        tenant, plan, parts = customer.tenant, customer.plan, self._parts
        period = period_of(parts.clock.now())
        used = await parts.usage.of_tenant(tenant.id, period)
        held = await parts.resources.of_tenant(tenant.id)
        shown: dict[str, object] = {
            "tenant_id": tenant.typeid,
            "tenant": tenant.slug,
            "plan": plan.name,
            "period": period,
            "resets_at": timestamp(period_end(period)),
            "limits": {
                "rate": _rate(tenant.rate_limit(plan)),
                "concurrency": plan.concurrency,
                "quotas": {name: bound(tenant.cap(name, plan), used.get(name, 0)) for name in parts.metrics},
                "resources": {name: bound(plan.resources.get(name), one.used) for name, one in held.items()},
            },
            "features": _features(customer, self._features),
        }
        return Answered(shown)


def billing_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    return (
        endpoint(
            "GET",
            "",
            _Calls(parts).show,
            name="getBillingPlan",
            summary="Show the caller's plan, limits, features and present use",
            parameters=Nothing,
            body=Nothing,
            answer=PlanShown,
            errors=(TENANT_HEADER_MISSING,),
            example=Example(_EXAMPLE),
        ),
    )


# Any: JSON of several levels.
_EXAMPLE: dict[str, Any] = {
    "tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf",
    "tenant": "acme-corp",
    "plan": "professional",
    "period": "2026-06",
    "resets_at": "2026-07-01T00:00:00Z",
    "limits": {
        "rate": {"rate": "100/second", "count": 100, "window_seconds": 1, "burst": 200},
        "concurrency": None,
        "quotas": {"requests": {"cap": 1000000, "used": 4711, "remaining": 995289}},
        "resources": {"users": {"cap": 50, "used": 3, "remaining": 47}},
    },
    "features": {"recording": True, "ai_transcription": True},
}


def _rate(rate: RateLimit | None) -> dict[str, object] | None:
    return (
        None if rate is None else {"rate": str(rate), "count": rate.count, "window_seconds": rate.window, "burst": rate.burst}
    )


def _features(customer: Customer, known: frozenset[str]) -> dict[str, bool]:
    """Every feature that some plan has or the tenant's overrides name, and whether this tenant has it."""
    return {name: customer.tenant.has_feature(name, customer.plan) for name in sorted(known | customer.tenant.features.keys())}
