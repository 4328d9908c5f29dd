"""What routes of gateway.yaml can mount as `builtin`: answers that the gateway gives itself, to a call that was admitted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from uuid import UUID

from starlette.responses import JSONResponse, Response

from gateway.clock import Clock
from gateway.ledger.resources import Held
from gateway.pipeline.call import Call, Customer
from gateway.tenancy.period import period_end, period_of
from gateway.tenancy.plan import Metric, Plan, RateLimit

from .jwks import KeySource, jwks_response
from .tenant_view import timestamp

Builtin = Callable[[Call], Awaitable[Response]]
Usage = Callable[[UUID, str], Awaitable[Mapping[str, int]]]
"""Units by metric that a tenant used in a period (`2026-04`). Raises Refused(STORE_UNAVAILABLE)."""
ResourcesOf = Callable[[UUID], Awaitable[Mapping[str, Held]]]
"""What a tenant has of each resource. Raises Refused(STORE_UNAVAILABLE)."""


def builtins(
    usage: Usage, resources: ResourcesOf, clock: Clock, plans: Mapping[str, Plan], metrics: Iterable[Metric], jwks: KeySource
) -> Mapping[str, Builtin]:
    """The built-in answers by the name that a route gives."""
    names = [metric.name for metric in metrics]
    features = frozenset[str]().union(*(plan.features for plan in plans.values()))

    async def billing_plan(call: Call) -> Response:
        """The caller's plan, limits, features and present use. Raises Refused where the call is for no tenant."""
        customer = call.require_customer()
        period = period_of(clock.now())
        used = await usage(customer.tenant.id, period)
        held = await resources(customer.tenant.id)
        body = {
            "tenant_id": customer.tenant.typeid,
            "tenant": customer.tenant.slug,
            "plan": customer.plan.name,
            "period": period,
            "resets_at": timestamp(period_end(period)),
            "limits": {
                "rate": _rate(customer.tenant.rate_limit(customer.plan)),
                "concurrency": customer.plan.concurrency,
                "quotas": {name: _quota(customer.tenant.cap(name, customer.plan), used.get(name, 0)) for name in names},
                "resources": {name: _quota(customer.plan.resources.get(name), one.used) for name, one in held.items()},
            },
            "features": _features(customer, features),
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def published_keys(call: Call) -> Response:
        return jwks_response(jwks)

    return {"billing_plan": billing_plan, "jwks": published_keys}


def _rate(rate: RateLimit | None) -> dict[str, object] | None:
    return (
        None if rate is None else {"rate": str(rate), "count": rate.count, "window_seconds": rate.window, "burst": rate.burst}
    )


def _quota(cap: int | None, used: int) -> dict[str, int | None]:
    """`remaining` is 0 where a cap was lowered below what is used, and null where there is no cap."""
    return {"cap": cap, "used": used, "remaining": None if cap is None else max(0, cap - used)}


def _features(customer: Customer, known: frozenset[str]) -> dict[str, bool]:
    """Every feature that some plan has or the tenant's overrides name, and whether this tenant has it."""
    return {name: customer.tenant.has_feature(name, customer.plan) for name in sorted(known | customer.tenant.features.keys())}
