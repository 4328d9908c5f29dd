"""What is asked of the ledger in the model: who calls, and what a request demands."""

from __future__ import annotations

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Slot
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Tenant
from tests import samples

ORGS = {name: Organization(name, default_plan="free") for name in ("platform", "other")}
OWNERS = ("platform", "platform", "other")
"""The organization of each tenant."""
CAPS: dict[str, int | None] = {"emails": 10, "requests": 12, "tokens": 10}
"""By metric, of a tenant at first."""
ORG_CAPS: dict[str, int | None] = {"emails": 15, "calls": 9}
METRICS = ("emails", "requests", "tokens", "calls", "free")
RATES = {"quick": RateLimit(5, 1, 6), "long": RateLimit(20, 60, 20), "broad": RateLimit(200, 1, 50)}
SLOTS = 4
MIXES = 11


def quota(tenant: Tenant, metric: str, units: int = 1, *, told: bool = False, lazy: bool = False) -> Quota:
    return Quota(metric, tenant.caps.get(metric), ORG_CAPS.get(metric), units, told=told, lazy=lazy)


def rate(tenant: Tenant, name: str) -> Rate:
    return Rate(name, "tenant", tenant.slug, RATES[name])


def slot(tenant: Tenant) -> Slot:
    return Slot("concurrency", "tenant", tenant.slug, SLOTS)


def demands(tenant: Tenant, mix: int, number: int) -> tuple[Demand, ...]:
    """Of a request that is the `number`-th of all."""
    match mix:
        case 0:
            return (quota(tenant, "emails"),)
        case 1:
            return (rate(tenant, "long"),)
        case 2:
            return (slot(tenant),)
        case 3:
            return (rate(tenant, "long"), quota(tenant, "emails"), slot(tenant))
        case 4:
            return (quota(tenant, "emails", 3), quota(tenant, "requests", lazy=True))
        case 5:
            return (quota(tenant, "tokens", 3, told=True), slot(tenant))
        case 6:
            return (rate(tenant, "quick"), quota(tenant, "free", 2))
        case 7:
            return (quota(tenant, "calls"), quota(tenant, "requests", lazy=True))
        case 8:
            return (quota(tenant, "free", 2),)
        case 9:
            return (rate(tenant, "broad"), quota(tenant, "free"))
        case _:
            return (Nonce(f"nonce-{number:016}", 600), rate(tenant, "quick"), quota(tenant, "emails"), slot(tenant))


def call(tenant: Tenant) -> Call:
    return samples.call(samples.BOUND_KEY, tenant, org=ORGS[tenant.org])
