"""The tenants of the measurement, in tenantgate's store and in that of the peers that use one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import redis

from bench.figures.tenants import new_tenant, write
from gateway.settings.schema import StoreSettings
from gateway.store.connect import Store
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.tenant import Status, Tenant

SUSPENDED, OVER_RATE, OVER_QUOTA = "suspended", "over-rate", "over-quota"
BUSY = "busy"
# Only these differ from the others: by a state, or by a plan of gateway.yaml.
_SPECIAL = {SUSPENDED: "roomy", OVER_RATE: "slow", OVER_QUOTA: "scant", BUSY: "busy"}


@dataclass(frozen=True)
class Customer:
    """A tenant, and what its callers know."""

    slug: str
    id: str
    secret: str
    api_key: str


async def provision(url: str, encryption_key: str, count: int) -> list[Customer]:
    """`count` tenants named tenant-0, tenant-1, …, and after them those with a state or a limit of their own."""
    made = [_customer(f"tenant-{number}", "roomy") for number in range(count)]
    made += [_customer(slug, plan) for slug, plan in _SPECIAL.items()]
    store = Store(url, prefix=StoreSettings().prefix, deadline=30.0)
    try:
        await write(store, encryption_key, [tenant for tenant, _ in made])
    finally:
        await store.close()
    return [customer for _, customer in made]


def limit_peers(port: int) -> None:
    """The same states for peers that ask policy.lua."""
    with redis.Redis(port=port) as store:
        store.set(f"{{{SUSPENDED}}}:s", 1)
        store.set(f"{{{OVER_RATE}}}:r", 1 << 52)
        store.set(f"{{{OVER_QUOTA}}}:q", 1_000_000_000_000)


def named(customers: Sequence[Customer], slug: str) -> Customer:
    return next(customer for customer in customers if customer.slug == slug)


def _customer(slug: str, plan: str) -> tuple[Tenant, Customer]:
    tenant, key = new_tenant(slug), new_api_key("tg", "live")
    tenant = replace(
        tenant,
        plan=plan,
        status=Status.SUSPENDED if slug == SUSPENDED else Status.ACTIVE,
        keys=(_stored(key, tenant.created_at),),
    )
    return tenant, Customer(slug, str(tenant.id), tenant.secrets[0].value.decode(), key)


def _stored(key: str, now: float) -> ApiKey:
    return ApiKey(
        id=typeid("key", new_id()),
        digest=digest_of(key),
        prefix="tg_live",
        last_four=key[-4:],
        name="bench",
        environment="live",
        scopes=frozenset(),
        created_at=now,
        created_by="bench",
    )
