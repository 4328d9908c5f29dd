from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.errors import (
    EXTERNAL_REF_TAKEN,
    NOT_FOUND,
    SLUG_TAKEN,
    STORE_UNAVAILABLE,
    TENANT_IS_ARCHIVED,
    TENANT_NOT_SUSPENDED,
    WRITE_CONFLICT,
    Problem,
    Refused,
)
from gateway.pipeline.lookup import OwnerOfWidgetKey, Record, TenantById, TenantByOrigin, TenantByRef, TenantBySlug
from gateway.registry.tenants import Created, NewTenant
from gateway.store.connect import Store
from gateway.store.wire import Part, Reply
from gateway.tenancy.credential import Revocations
from gateway.tenancy.ids import new_id
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Profile, Status, Tenant
from tests.registry.samples import Registry


def problem(caught: pytest.ExceptionInfo[Refused]) -> Problem:
    return caught.value.problem


async def test_a_created_tenant_is_found_by_every_lookup_as_it_was_written(registry: Registry) -> None:
    def fill(tenant: Tenant) -> Tenant:
        return replace(
            tenant,
            rate=RateLimit(5, 60, 7),
            caps={"emails": None, "sms": 0},
            features={"chat": False},
            origins=("https://acme.example",),
            revocations=Revocations({"j": 1.5}, {"s": 2.5}, 3.5),
            profile=Profile("https://acme.example/hook", {"branding_color": "é"}, 3, "cus_1"),
        )

    created = await registry.tenants.create(NewTenant("platform", "Acme, Inc.", external_ref="cust: 1/{x}"), fill)
    tenant = created.tenant
    assert (tenant.slug, tenant.schema, tenant.plan) == ("acme-inc", "acme_inc", "free")
    for lookup in (
        TenantById(tenant.id),
        TenantBySlug("acme-inc"),
        TenantByRef("platform", "cust: 1/{x}"),
        OwnerOfWidgetKey(created.widget_key),
        TenantByOrigin("https://acme.example"),
    ):
        assert await registry.records.resolve(lookup) == tenant
    assert tenant.secrets[0].value == created.secret.encode()


async def test_fifty_parallel_creations_of_one_slug_make_one_tenant(registry: Registry) -> None:
    results = await asyncio.gather(
        *(registry.tenants.create(NewTenant("platform", f"n{i}", slug="acme")) for i in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, Created) for result in results) == 1
    assert {r.problem for r in results if isinstance(r, Refused)} == {SLUG_TAKEN}
    assert (await registry.tenants.page(10))[1] == 1


async def test_a_derived_slug_that_is_taken_gets_a_suffix(registry: Registry) -> None:
    first = (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant
    second = (await registry.tenants.create(NewTenant("other", "Acme"))).tenant
    assert first.slug == "acme"
    assert second.slug.startswith("acme-")
    assert len(second.slug) == len("acme-") + 6


@pytest.mark.parametrize("name", ["公", "!!!", "public", "pg_catalog"])
async def test_a_name_that_leaves_no_slug_still_makes_a_tenant(registry: Registry, name: str) -> None:
    slug = (await registry.tenants.create(NewTenant("platform", name))).tenant.slug
    assert slug not in ("", "public")
    assert not slug.startswith("pg")


async def test_a_reference_is_unique_within_its_organization_only(registry: Registry) -> None:
    await registry.tenants.create(NewTenant("platform", "A", external_ref="cust"))
    await registry.tenants.create(NewTenant("other", "B", external_ref="cust"))
    with pytest.raises(Refused) as caught:
        await registry.tenants.create(NewTenant("platform", "C", external_ref="cust"))
    assert problem(caught) is EXTERNAL_REF_TAKEN
    # The refused creation has left its slug free.
    assert (await registry.tenants.create(NewTenant("platform", "C", slug="c"))).tenant.slug == "c"


async def test_the_slug_of_a_creation_that_died_is_taken_over_after_a_minute_and_not_before(registry: Registry) -> None:
    dead = new_id()
    made_at = (dead.int >> 80) / 1000
    key = registry.shelf.store.keys.slug("acme")
    await registry.shelf.store.control.command("SET", key, str(dead))
    registry.clock.time = made_at + 59
    with pytest.raises(Refused) as caught:
        await registry.tenants.create(NewTenant("platform", "A", slug="acme"))
    assert problem(caught) is SLUG_TAKEN
    registry.clock.time = made_at + 61
    assert (await registry.tenants.create(NewTenant("platform", "A", slug="acme"))).tenant.slug == "acme"


async def test_the_slug_of_a_tenant_is_never_taken_over(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "A", slug="acme"))).tenant
    registry.clock.time = (tenant.id.int >> 80) / 1000 + 86400
    with pytest.raises(Refused) as caught:
        await registry.tenants.create(NewTenant("platform", "B", slug="acme"))
    assert problem(caught) is SLUG_TAKEN


async def test_pages_list_the_newest_first_for_all_or_one_organization(registry: Registry) -> None:
    made = []
    for number in range(5):
        registry.clock.time += 1
        made.append((await registry.tenants.create(NewTenant(["platform", "other"][number % 2], f"t{number}"))).tenant)
    assert await registry.tenants.page(2, 1) == ([made[3], made[2]], 5)
    assert await registry.tenants.page(10, org="other") == ([made[3], made[1]], 2)
    assert await registry.tenants.page(10, 99) == ([], 5)


async def test_changes_of_one_tenant_at_once_lose_nothing(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "A"))).tenant
    registry.clock.time += 10

    def count(old: Tenant) -> Tenant:
        return replace(old, caps={"emails": (old.caps.get("emails") or 0) + 1})

    await asyncio.gather(*(registry.tenants.change(tenant.id, count) for _ in range(50)))
    now = await registry.tenants.get(tenant.id)
    assert (now.caps, now.updated_at) == ({"emails": 50}, registry.clock.time)
    assert now.version >= tenant.version + 50


async def test_a_version_that_the_store_has_lost_never_comes_again(registry: Registry, store: Store) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "A"))).tenant
    key = store.keys.tenant(tenant.id)
    kept = await store.control.command("HGET", key, "doc")
    assert isinstance(kept, bytes)
    registry.clock.time += 1
    lost = await registry.tenants.change(tenant.id, lambda old: replace(old, name="lost"))
    await store.control.command("HSET", key, "v", tenant.version, "doc", kept)
    registry.clock.time += 1
    suspended = await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
    assert suspended.version not in (tenant.version, lost.version)


async def test_a_change_that_somebody_always_overtakes_ends_as_a_conflict(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.registry.changes._PAUSE", 0)
    tenant_id = (await registry.tenants.create(NewTenant("platform", "A"))).tenant.id

    async def overtaken(record: Record, over: int, entry: bytes) -> bool:
        return False

    monkeypatch.setattr(registry.shelf, "write", overtaken)
    with pytest.raises(Refused) as caught:
        await registry.tenants.set_status(tenant_id, Status.SUSPENDED)
    assert problem(caught) is WRITE_CONFLICT


async def test_a_change_that_is_in_force_is_told_as_done_though_the_maps_could_not_be_tidied(
    registry: Registry, store: Store
) -> None:
    created = await registry.tenants.create(NewTenant("platform", "A"))
    command = store.control.command

    async def without_del(*parts: Part) -> Reply:
        if parts[0] == "DEL":
            raise Refused(STORE_UNAVAILABLE)
        return await command(*parts)

    store.control.command = without_del  # type: ignore[method-assign]
    tenant, text = await registry.tenants.rotate_widget_key(created.tenant.id)
    assert [key.value for key in tenant.widget_keys] == [text]
    old = await registry.records.resolve(OwnerOfWidgetKey(created.widget_key))
    assert old == tenant


async def test_an_edit_that_changes_nothing_writes_nothing(registry: Registry) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "A"))).tenant
    assert await registry.tenants.change(tenant.id, lambda old: replace(old, name="A")) == tenant


@pytest.mark.parametrize("field", ["slug", "schema", "org", "external_ref"])
async def test_what_names_a_tenant_never_changes(registry: Registry, field: str) -> None:
    tenant = (await registry.tenants.create(NewTenant("platform", "A"))).tenant
    with pytest.raises(ValueError, match=field):
        await registry.tenants.change(tenant.id, lambda old: replace(old, **{field: "other"}))


async def test_an_unknown_tenant_is_not_found(registry: Registry) -> None:
    for call in (registry.tenants.get(new_id()), registry.tenants.set_status(new_id(), Status.SUSPENDED)):
        with pytest.raises(Refused) as caught:
            await call
        assert problem(caught) is NOT_FOUND


async def test_a_rotated_secret_ends_at_once_or_with_its_grace(registry: Registry) -> None:
    created = await registry.tenants.create(NewTenant("platform", "A"))
    tenant, second = await registry.tenants.rotate_secret(created.tenant.id, grace_seconds=60)
    assert [(s.value.decode(), s.not_after) for s in tenant.secrets] == [
        (second, None),
        (created.secret, registry.clock.time + 60),
    ]
    registry.clock.time += 30
    tenant, third = await registry.tenants.rotate_secret(tenant.id, grace_seconds=300)
    assert [(s.value.decode(), s.not_after) for s in tenant.secrets] == [
        (third, None),
        (second, registry.clock.time + 300),
        (created.secret, registry.clock.time + 30),
    ]
    tenant, fourth = await registry.tenants.rotate_secret(tenant.id)
    assert [s.value.decode() for s in tenant.secrets] == [fourth]


async def test_a_rotated_widget_key_leads_to_the_tenant_and_the_old_one_nowhere(registry: Registry) -> None:
    created = await registry.tenants.create(NewTenant("platform", "A"))
    tenant, text = await registry.tenants.rotate_widget_key(created.tenant.id)
    assert [key.value for key in tenant.widget_keys] == [text]
    assert await registry.records.resolve(OwnerOfWidgetKey(text)) == tenant
    assert await registry.records.resolve(OwnerOfWidgetKey(created.widget_key)) is None


async def test_a_tenant_is_suspended_with_a_reason_and_reactivated(registry: Registry) -> None:
    tenant_id = (await registry.tenants.create(NewTenant("platform", "A"))).tenant.id
    suspended = await registry.tenants.set_status(tenant_id, Status.SUSPENDED, "unpaid")
    assert (suspended.status, suspended.profile.suspend_reason) == (Status.SUSPENDED, "unpaid")
    active = await registry.tenants.set_status(tenant_id, Status.ACTIVE)
    assert (active.status, active.profile.suspend_reason) == (Status.ACTIVE, None)
    with pytest.raises(Refused) as caught:
        await registry.tenants.set_status(tenant_id, Status.ACTIVE)
    assert problem(caught) is TENANT_NOT_SUSPENDED


async def test_archiving_is_final(registry: Registry) -> None:
    tenant_id = (await registry.tenants.create(NewTenant("platform", "A"))).tenant.id
    archived = await registry.tenants.set_status(tenant_id, Status.ARCHIVED)
    assert await registry.tenants.set_status(tenant_id, Status.ARCHIVED) == archived
    for change in (
        registry.tenants.set_status(tenant_id, Status.ACTIVE),
        registry.tenants.set_status(tenant_id, Status.SUSPENDED),
        registry.tenants.rotate_secret(tenant_id),
        registry.tenants.rotate_widget_key(tenant_id),
    ):
        with pytest.raises(Refused) as caught:
            await change
        assert problem(caught) is TENANT_IS_ARCHIVED


async def test_an_origin_leads_to_a_tenant_that_lists_it_now(registry: Registry) -> None:
    origin = "https://acme.example"
    ids: list[UUID] = []
    for _ in range(2):
        created = await registry.tenants.create(NewTenant("platform", "A"), lambda old: replace(old, origins=(origin,)))
        ids.append(created.tenant.id)
    await registry.tenants.set_status(ids[1], Status.SUSPENDED)
    assert (await registry.records.resolve(TenantByOrigin(origin))) == await registry.tenants.get(ids[0])
    await registry.tenants.change(ids[0], lambda old: replace(old, origins=()))
    assert (await registry.records.resolve(TenantByOrigin(origin))) == await registry.tenants.get(ids[1])
    await registry.tenants.change(ids[1], lambda old: replace(old, origins=()))
    assert await registry.records.resolve(TenantByOrigin(origin)) is None
