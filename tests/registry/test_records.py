from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.lookup import (
    OrgByName,
    OwnerOfKey,
    OwnerOfWidgetKey,
    TenantByHost,
    TenantById,
    TenantByOrigin,
    TenantByRef,
    TenantBySlug,
)
from gateway.registry.records import Records
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.tenancy.ids import new_id
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status, Tenant
from tests.registry.samples import ORGS, Registry, registry_over
from tests.store.server import OwnServer

NOBODY = (
    TenantById(new_id()),
    TenantBySlug("nobody"),
    TenantByRef("platform", "nobody"),
    OwnerOfKey("0" * 64),
    OwnerOfWidgetKey("pk_nobody"),
    TenantByOrigin("https://nobody.example"),
    TenantByHost("nobody.example"),
    OrgByName("nobody"),
)


async def test_what_is_not_there_is_none_and_takes_no_room(registry: Registry) -> None:
    for lookup in NOBODY:
        assert registry.records.peek(lookup) is None
        assert await registry.records.resolve(lookup) is None
    assert not registry.records._owners
    assert not registry.records._memory


async def test_a_record_is_remembered_once_for_all_its_lookups(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "Acme", external_ref="r"))).tenant
    lookups = (TenantBySlug("acme"), TenantByRef("platform", "r"), TenantById(tenant.id))
    for lookup in lookups:
        await registry.records.resolve(lookup)
    # Changed elsewhere, and read again here under one name: it is new under every name.
    await registry_over(registry.shelf.store).tenants.set_status(tenant.id, Status.SUSPENDED)
    assert registry.records.peek(lookups[0]) == tenant
    changed = await registry.records.resolve(lookups[1])
    assert changed != tenant
    assert [registry.records.peek(lookup) for lookup in lookups] == [changed] * 3
    registry.records.forget(tenant)
    assert [registry.records.peek(lookup) for lookup in lookups] == [None] * 3


async def test_a_change_made_here_is_forgotten_here_at_once(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    await registry.records.resolve(TenantById(tenant.id))
    await registry.tenants.change(tenant.id, lambda old: replace(old, name="Other"))
    assert registry.records.peek(TenantById(tenant.id)) is None


async def test_memory_is_bounded(registry: Registry) -> None:
    records = Records(registry.shelf, registry.clock, records=3, lookups=5)
    for number in range(8):
        await registry.tenants.create(NewTenant("platform", f"t{number}"))
        await records.resolve(TenantBySlug(f"t{number}"))
    assert len(records._memory) == 3
    assert len(records._owners) == 5


async def test_a_late_answer_does_not_replace_a_newer_record(registry: Registry) -> None:
    old = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    new = await registry.tenants.change(old.id, lambda tenant: replace(tenant, name="Other"))
    records = Records(registry.shelf, registry.clock)
    await records.resolve(TenantById(old.id))
    # The store goes back to what it was, as a late answer would show it.
    await registry.shelf.store.control.command("HSET", registry.shelf.store.keys.tenant(old.id), "v", old.version)
    await records.resolve(TenantById(old.id))
    assert records.peek(TenantById(old.id)) == new


async def test_an_organization_is_what_is_configured_with_the_keys_that_are_stored(registry: Registry) -> None:
    minted = await registry.keys.mint("platform", "root", frozenset(), created_by="ops")
    lookup = OwnerOfKey(digest_of(minted.text))
    now = registry.clock.time
    expected = replace(ORGS["platform"], version=int(now * 1e6), keys=(minted.key,), updated_at=now)
    assert await registry.records.resolve(lookup) == expected


async def test_an_organization_that_is_not_configured_any_more_is_none(registry: Registry) -> None:
    minted = await registry.keys.mint("other", "root", frozenset(), created_by="ops")
    registry.shelf.orgs = {"platform": ORGS["platform"]}
    assert await registry.records.resolve(OwnerOfKey(digest_of(minted.text))) is None


async def test_without_the_store_a_record_is_told_that_is_not_too_old(tmp_path: Path) -> None:
    by_slug, unseen = TenantBySlug("acme"), TenantBySlug("other")
    with OwnServer(tmp_path) as server:
        registry = registry_over(Store(server.url, prefix="t", deadline=5))
        tenant = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
        await registry.records.resolve(by_slug)
    registry.clock.time += 100
    assert await registry.records.resolve(by_slug, 200) == tenant
    for lookup, stale_for in ((by_slug, None), (by_slug, 99), (unseen, 200)):
        with pytest.raises(Refused) as refused:
            await registry.records.resolve(lookup, stale_for)
        assert refused.value.problem is STORE_UNAVAILABLE
    await registry.store.close()


async def test_while_the_store_is_there_it_is_always_asked(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    await registry.records.resolve(TenantById(tenant.id))
    await registry_over(registry.shelf.store).tenants.set_status(tenant.id, Status.SUSPENDED)
    found = await registry.records.resolve(TenantById(tenant.id), 1000)
    assert isinstance(found, Tenant)
    assert found.status is Status.SUSPENDED
