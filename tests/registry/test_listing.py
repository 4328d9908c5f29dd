"""Pages of an organization's tenants, in an order that stays, and what a search finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.registry import listing
from gateway.registry.listing import TenantList
from gateway.registry.tenants import NewTenant
from gateway.tenancy.search import Search
from gateway.tenancy.tenant import Status, Tenant
from tests.registry.samples import Registry


async def made(registry: Registry, name: str, ref: str | None = None, org: str = "platform") -> Tenant:
    registry.clock.time += 1
    return (await registry.tenants.create(NewTenant(org, name, external_ref=ref))).tenant


async def all_of(registry: Registry, limit: int = 2, search: Search = Search()) -> list[str]:  # noqa: B008 -- immutable
    """Names, page by page."""
    tenants, below, found = TenantList(registry.shelf), None, []
    while True:
        page, below = await tenants.page("platform", limit, below, search)
        found += [tenant.name for tenant in page]
        if below is None:
            return found


async def test_tenants_of_one_instant_are_listed_once_each(registry: Registry) -> None:
    names = [f"T {number}" for number in range(9)]
    for name in names:
        await registry.tenants.create(NewTenant("platform", name))
    found = await all_of(registry)
    assert (len(found), set(found)) == (9, set(names))


async def test_the_newest_come_first_and_other_organizations_not(registry: Registry) -> None:
    names = ["first", "second", "third"]
    for name in names:
        await made(registry, name)
        await made(registry, name, org="other")
    page, end = await TenantList(registry.shelf).page("platform", 3)
    assert ([tenant.name for tenant in page], end) == (names[::-1], None)
    assert {tenant.org for tenant in page} == {"platform"}


@pytest.mark.parametrize("rare", [5_000, 1], ids=["by words", "by all records"])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("acme", ["Acme Éire", "Big ACME, Inc.", "Acme"]),
        ("ACME É", ["Acme Éire"]),
        ("éi", ["Acme Éire"]),
        ("big-a", ["Big ACME, Inc."]),
        ("cus_2", ["Big ACME, Inc."]),
        ("inc", ["Big ACME, Inc.", "Incas"]),
        ("cme", []),
        ("acme\0", []),
        ("\U0010ffff", []),
    ],
)
async def test_a_search_finds_what_begins_so(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, rare: int, words: str, names: list[str]
) -> None:
    monkeypatch.setattr(listing, "_RARE", rare)
    for name, ref in (("Incas", None), ("Acme", "cus_1"), ("Big ACME, Inc.", "CUS_2"), ("Acme Éire", None)):
        await made(registry, name, ref)
    await made(registry, "Acme of somebody else", "cus_2", org="other")
    assert await all_of(registry, 1, Search(words=words)) == names


async def test_a_new_name_is_found_and_the_old_one_not_any_more(registry: Registry) -> None:
    tenant = await made(registry, "Acme Corp")
    await registry.tenants.change(tenant.id, lambda old: replace(old, name="Zenith Corp"))
    assert await all_of(registry, search=Search(words="zen")) == ["Zenith Corp"]
    # The slug has stayed.
    assert await all_of(registry, search=Search(words="acme corp")) == []
    assert await all_of(registry, search=Search(words="acme-c")) == ["Zenith Corp"]
    left = await registry.store.control.command("ZCARD", registry.store.keys.words("platform"))
    assert left == len({"acme-corp", "zenith corp", "zenith", "corp"})


async def test_however_changes_of_the_name_interleave_the_last_one_is_found(registry: Registry) -> None:
    tenant = await made(registry, "Acme")

    def to(name: str) -> Callable[[Tenant], Tenant]:
        return lambda old: replace(old, name=name)

    for _ in range(10):
        await asyncio.gather(*(registry.tenants.change(tenant.id, to(name)) for name in ("Alpha", "Beta", "Alpha", "Gamma")))
        name = (await registry.tenants.get(tenant.id)).name
        assert await all_of(registry, search=Search(words=name)) == [name]


async def test_a_tenant_is_found_by_its_reference(registry: Registry) -> None:
    await made(registry, "Acme", "cus_1")
    await made(registry, "Other", "cus_1", org="other")
    assert await all_of(registry, search=Search(external_ref="cus_1")) == ["Acme"]
    for missing in ("cus_2", "CUS_1"):
        assert await all_of(registry, search=Search(external_ref=missing)) == []
    assert await all_of(registry, search=Search(Status.SUSPENDED, external_ref="cus_1")) == []


@pytest.mark.parametrize("rare", [5_000, 0], ids=["by their entries", "by all records"])
async def test_tenants_of_one_status_are_found_however_rare_they_are(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    for name, value in (("_CHUNK", 2), ("_CHUNKS", 2), ("_RARE", rare)):
        monkeypatch.setattr(listing, name, value)
    for number in range(12):
        tenant = await made(registry, f"T{number}")
        if number in (3, 5, 10):
            await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
        if number == 5:
            await registry.tenants.set_status(tenant.id, Status.ACTIVE)
    search = Search(Status.SUSPENDED)
    page, below = await TenantList(registry.shelf).page("platform", 2, None, search)
    # Without entries so much is read by one call, and no more.
    assert [tenant.name for tenant in page] == (["T10", "T3"] if rare else ["T10"])
    assert (below is None) == bool(rare)
    assert await all_of(registry, 2, search) == ["T10", "T3"]
    assert await all_of(registry, 2, Search(Status.SUSPENDED, words="t3")) == ["T3"]
    assert len(await all_of(registry, 5, Search(Status.ACTIVE))) == 10


async def test_what_is_missing_on_the_way_leaves_no_gap(registry: Registry) -> None:
    tenants = [await made(registry, f"T{number}") for number in range(5)]
    await registry.store.control.command("DEL", registry.store.keys.tenant(tenants[3].id))
    page, _ = await TenantList(registry.shelf).page("platform", 3)
    assert [tenant.name for tenant in page] == ["T4", "T2", "T1"]
