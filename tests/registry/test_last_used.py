"""When keys were used: noted once a minute, written together, lost rather than in the way."""

from __future__ import annotations

import pytest

from gateway.pipeline.call import Call, Customer
from gateway.pipeline.principal import Principal
from gateway.registry.key_index import OwnedKey
from gateway.registry.last_used import EVERY, LastUsed
from gateway.registry.owner import Owner
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant
from tests import samples
from tests.registry.samples import ORGS, Registry


def call(key: ApiKey, tenant: Tenant | None, *, root: bool = False, method: str = "api_key") -> Call:
    principal = Principal(method, key.id, org="platform", credential_id=key.id, root=root)  # type: ignore[arg-type]
    customer = None if tenant is None else Customer(tenant, Plan("free"), ORGS["platform"])
    return Call(samples.request(), "route", None, principal, customer)


@pytest.fixture
async def tenant(registry: Registry) -> Tenant:
    return (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant


async def minted(registry: Registry, owner: Owner) -> OwnedKey:
    return OwnedKey(owner, (await registry.keys.mint(owner, "ci", frozenset(), created_by="ops")).key)


async def test_a_use_is_told_of_the_key_whatever_tenant_a_platform_acts_for(registry: Registry, tenant: Tenant) -> None:
    used = LastUsed(registry.store, registry.clock)
    bound, root, idle = [await minted(registry, owner) for owner in (tenant.id, "platform", "platform")]
    used.note(call(bound.key, tenant))
    registry.clock.time += 5
    used.note(call(root.key, tenant, root=True))
    await used.write()
    at = registry.clock.time
    assert await used.of([idle, root, bound]) == [None, at, at - 5]


async def test_a_key_is_noted_once_a_minute(registry: Registry, tenant: Tenant) -> None:
    used, start = LastUsed(registry.store, registry.clock), registry.clock.time
    key = await minted(registry, tenant.id)
    found = []
    for _ in range(3):
        used.note(call(key.key, tenant))
        await used.write()
        found += await used.of([key])
        registry.clock.time += EVERY / 2
    assert found == [start, start, start + EVERY]


async def test_other_credentials_are_no_keys(registry: Registry, tenant: Tenant) -> None:
    used, key = LastUsed(registry.store, registry.clock), await minted(registry, tenant.id)
    used.note(call(key.key, tenant, method="jwt"))
    await used.write()
    assert await used.of([key]) == [None]


async def test_what_is_noted_is_bounded(registry: Registry, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.registry.last_used._NOTED", 2)
    used = LastUsed(registry.store, registry.clock)
    keys = [await minted(registry, tenant.id) for _ in range(3)]
    for key in keys:
        used.note(call(key.key, tenant))
    await used.write()
    assert await used.of(keys) == [registry.clock.time, registry.clock.time, None]
    registry.clock.time += EVERY
    await used.write()
    used.note(call(keys[2].key, tenant))
    await used.write()
    assert (await used.of(keys))[2] == registry.clock.time


async def test_nothing_is_kept_for_ever(registry: Registry, tenant: Tenant) -> None:
    used, key = LastUsed(registry.store, registry.clock), await minted(registry, tenant.id)
    used.note(call(key.key, tenant))
    await used.write()
    place = registry.store.keys.last_used(str(tenant.id))
    left = await registry.store.control.command("TTL", place)
    assert isinstance(left, int)
    assert 399 * 86400 < left <= 400 * 86400
    await registry.keys.revoke(tenant.id, key.key.id)
    registry.clock.time += 100 * 86400
    await minted(registry, tenant.id)
    assert await registry.store.control.command("EXISTS", place) == 0


async def test_what_waits_is_written_at_the_end(registry: Registry, tenant: Tenant) -> None:
    used, key = LastUsed(registry.store, registry.clock), await minted(registry, tenant.id)
    used.start()
    used.note(call(key.key, tenant))
    await used.close()
    assert await used.of([key]) == [registry.clock.time]


async def test_a_store_that_fails_is_no_fault_of_the_request(registry: Registry, tenant: Tenant) -> None:
    key = await minted(registry, tenant.id)
    gone = Store("redis://127.0.0.1:1", prefix="t", deadline=0.05)
    used = LastUsed(gone, registry.clock)
    used.note(call(key.key, tenant))
    await used.write()
    await gone.close()
