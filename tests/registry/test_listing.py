"""Pages of an organization's tenants, in an order that stays."""

from __future__ import annotations

from gateway.registry.listing import TenantList
from gateway.registry.tenants import NewTenant
from tests.registry.samples import Registry


async def test_tenants_of_one_instant_are_listed_once_each(registry: Registry) -> None:
    made = {(await registry.tenants.create(NewTenant("platform", f"T {number}"))).tenant.id for number in range(9)}
    tenants, below, found = TenantList(registry.shelf), None, []
    while True:
        page, below = await tenants.page("platform", 2, below)
        found += [tenant.id for tenant in page]
        if below is None:
            break
    assert len(found) == 9
    assert set(found) == made


async def test_the_newest_come_first_and_other_organizations_not(registry: Registry) -> None:
    names = ["first", "second", "third"]
    for name in names:
        registry.clock.time += 1
        await registry.tenants.create(NewTenant("platform", name))
        await registry.tenants.create(NewTenant("other", name))
    page, end = await TenantList(registry.shelf).page("platform", 3)
    assert ([tenant.name for tenant in page], end) == (names[::-1], None)
    assert {tenant.org for tenant in page} == {"platform"}
