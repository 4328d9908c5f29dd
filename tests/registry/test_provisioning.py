"""Tenants that requests make by naming them: one for each reference, whoever asks at once, and not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.errors import STORE_UNAVAILABLE, TENANT_AUTO_CREATE_RATE_LIMITED, TENANT_PROVISIONING, Refused
from gateway.pipeline.lookup import TenantByRef
from gateway.pipeline.question import Provide, Provided
from gateway.registry.changes import Changes
from gateway.registry.provisioning import Provisioning
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.tenancy.ids import new_id
from gateway.tenancy.tenant import Status
from tests.registry.samples import ManualClock, Registry
from tests.registry.test_audit import trail
from tests.registry.workers import worker


def provisioning_of(registry: Registry) -> Provisioning:
    changes = Changes(registry.shelf, registry.records, registry.clock, registry.clock.pause)
    return Provisioning(changes, registry.records, registry.clock.pause)


@pytest.fixture
def provisioning(registry: Registry) -> Provisioning:
    return provisioning_of(registry)


@pytest.fixture
async def four(store_url: str, key_prefix: str) -> AsyncIterator[Sequence[Provisioning]]:
    """Of four workers, each with connections and memory of its own."""
    clock = ManualClock()
    workers = [worker(store_url, key_prefix, clock) for _ in range(4)]
    yield [Provisioning(Changes(one.shelf, one.records, clock, clock.pause), one.records) for one in workers]
    for one in workers:
        await one.kill()


def first(ref: str = "cust_1", org: str = "platform") -> Provide:
    return Provide(TenantByRef(org, ref), "key_1", "req-1")


async def used(store: Store, org: str = "platform") -> int:
    """Creations that are counted."""
    length = await store.control.command("LLEN", store.keys.auto_creations(org))
    assert isinstance(length, int)
    return length


async def test_the_tenant_is_named_after_its_reference(registry: Registry, provisioning: Provisioning) -> None:
    provided = await provisioning.provide(first("Cust 12.345"))
    tenant = provided.tenant
    assert (tenant.name, tenant.slug, tenant.external_ref) == ("Cust 12.345", "cust-12-345", "Cust 12.345")
    assert (tenant.org, tenant.plan, tenant.status, provided.created) == ("platform", "free", Status.ACTIVE, True)
    assert await registry.records.resolve(TenantByRef("platform", "Cust 12.345")) == tenant


async def test_200_at_once_on_four_workers_make_one_tenant(
    registry: Registry, store: Store, four: Sequence[Provisioning]
) -> None:
    found = await asyncio.gather(*(four[number % 4].provide(first()) for number in range(200)))
    assert len({provided.tenant.id for provided in found}) == 1
    assert sum(provided.created for provided in found) == 1
    assert (await registry.tenants.page(10))[1] == 1
    (entry,) = await trail(registry)
    assert (entry["action"], entry["actor"], entry["request_id"]) == ("tenant.created", "key_1", "req-1")
    assert (entry["metadata"]["auto"], entry["metadata"]["ref"]) == (True, "cust_1")
    # Those that waited for it have used nothing up.
    assert await used(store) == 1


async def test_the_61st_in_a_minute_is_refused_and_known_references_pass(
    registry: Registry, store: Store, provisioning: Provisioning
) -> None:
    made = [await provisioning.provide(first(f"cust_{number}")) for number in range(60)]
    with pytest.raises(Refused) as caught:
        await provisioning.provide(first("one too many"))
    assert caught.value.problem is TENANT_AUTO_CREATE_RATE_LIMITED
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
    assert await provisioning.provide(first("cust_7")) == Provided(made[7].tenant, created=False)
    # Neither another organization nor what is made by hand is affected.
    assert (await provisioning.provide(first(org="other"))).created
    await registry.tenants.create(NewTenant("platform", "By hand"))
    # The reference that was refused is free.
    assert await store.control.command("EXISTS", store.keys.ref("platform", "one too many")) == 0
    # Where the first of them was made a minute ago, there is room for one.
    key = store.keys.auto_creations("platform")
    oldest = await store.control.command("LINDEX", key, -1)
    assert isinstance(oldest, bytes)
    await store.control.command("LSET", key, -1, int(oldest) - 60_000)
    assert (await provisioning.provide(first("one too many"))).created
    with pytest.raises(Refused):
        await provisioning.provide(first("another"))


async def test_what_is_counted_is_forgotten(store: Store, provisioning: Provisioning) -> None:
    await provisioning.provide(first())
    left = await store.control.command("PTTL", store.keys.auto_creations("platform"))
    assert isinstance(left, int)
    assert 0 < left <= 60_000


async def test_a_tenant_that_was_made_by_hand_is_found(registry: Registry, provisioning: Provisioning) -> None:
    made = await registry.tenants.create(NewTenant("platform", "Acme", external_ref="cust_1"))
    assert await provisioning.provide(first()) == Provided(made.tenant, created=False)


async def test_a_slug_that_is_taken_gets_a_suffix(registry: Registry, provisioning: Provisioning) -> None:
    await registry.tenants.create(NewTenant("other", "x", slug="cust-1"))
    slug = (await provisioning.provide(first())).tenant.slug
    assert slug.startswith("cust-1-")
    assert len(slug) == len("cust-1-") + 6


@pytest.mark.parametrize("ref", ["pg_catalog", "public", "information_schema", "PUBLIC", "pg-toast", "..", "--"])
async def test_no_reference_leads_to_a_schema_of_the_databases_own(provisioning: Provisioning, ref: str) -> None:
    tenant = (await provisioning.provide(first(ref))).tenant
    assert tenant.schema not in ("public", "information_schema", "")
    assert not tenant.schema.startswith("pg_")


async def test_while_another_worker_is_making_it_a_request_waits_and_does_not_wait_for_ever(
    registry: Registry, store: Store, provisioning: Provisioning
) -> None:
    dead = new_id()
    registry.clock.time = (dead.int >> 80) / 1000
    await store.control.command("SET", store.keys.ref("platform", "cust_1"), str(dead))
    with pytest.raises(Refused) as caught:
        await provisioning.provide(first())
    assert (caught.value.problem, caught.value.retry_after) == (TENANT_PROVISIONING, 1)
    assert registry.clock.waited < 3
    assert await used(store) == 0
    # The other one has died on the way.
    registry.clock.time += 61
    assert (await provisioning.provide(first())).created


async def test_what_a_request_has_begun_ends_well_without_it(registry: Registry, provisioning: Provisioning) -> None:
    asking = asyncio.create_task(provisioning.provide(first()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await provisioning.close()
    found = await provisioning.provide(first())
    assert (found.tenant.external_ref, found.created) == ("cust_1", False)


async def test_a_failure_is_told_to_all_who_wait_and_is_over_then(
    registry: Registry, provisioning: Provisioning, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = registry.shelf.write
    monkeypatch.setattr(registry.shelf, "write", failing)
    refusals = await asyncio.gather(*(provisioning.provide(first()) for _ in range(3)), return_exceptions=True)
    assert [refused.problem for refused in refusals if isinstance(refused, Refused)] == [STORE_UNAVAILABLE] * 3
    monkeypatch.setattr(registry.shelf, "write", write)
    # Whether the record was written is not known: the reference is open again once the creation has ended for certain.
    registry.clock.time += 10_000_000_000
    assert (await provisioning.provide(first())).created


async def failing(*args: object) -> bool:
    raise Refused(STORE_UNAVAILABLE)
