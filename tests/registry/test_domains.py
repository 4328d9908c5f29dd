"""Who has a name, where a gateway has died or was slow between taking it and saying so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from gateway.errors import DOMAIN_TAKEN, STORE_UNAVAILABLE, Refused
from gateway.pipeline.lookup import OrgByName, TenantByHost, TenantById
from gateway.registry.domain_name import Names
from gateway.registry.domains import Domains
from gateway.registry.owner import Owner
from gateway.registry.proof import Proof
from gateway.registry.tenants import NewTenant
from gateway.tenancy.org import Organization
from tests.registry.dns_server import Zone, served
from tests.registry.samples import Registry, registry_over

NAME = "acme.example"


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    async with served() as zone:
        yield zone


@pytest.fixture
def domains(registry: Registry, zone: Zone) -> Domains:
    return Domains(registry.changes, Proof(zone.address, 5))


@pytest.fixture
def names(registry: Registry) -> Names:
    return Names(registry.shelf, registry.clock)


async def tenant(registry: Registry) -> UUID:
    return (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant.id


async def proved(domains: Domains, zone: Zone, owner: Owner) -> str:
    domain = await domains.create("platform", owner, NAME)
    zone.texts.setdefault(domain.record_name, []).append(domain.record_value)
    await domains.verify(owner, domain.id)
    return domain.id


async def test_a_name_that_somebody_died_with_can_be_had_after_a_while(
    registry: Registry, domains: Domains, names: Names, zone: Zone
) -> None:
    await names.take(NAME, await tenant(registry))
    other = await tenant(registry)
    with pytest.raises(Refused) as refused:
        await proved(domains, zone, other)
    assert refused.value.problem is DOMAIN_TAKEN
    registry.clock.time += 61
    (domain,) = await domains.held_by(other)
    assert (await domains.verify(other, domain.id)).verified_at is not None


async def test_a_name_that_is_proved_stays_however_long_ago_that_was(registry: Registry, domains: Domains, zone: Zone) -> None:
    await proved(domains, zone, await tenant(registry))
    registry.clock.time += 1e6
    with pytest.raises(Refused) as refused:
        await proved(domains, zone, await tenant(registry))
    assert refused.value.problem is DOMAIN_TAKEN


async def test_who_was_too_slow_to_say_so_does_not_have_it(registry: Registry, names: Names) -> None:
    claim = await names.take(NAME, await tenant(registry))
    claim.check()
    registry.clock.time += 31
    with pytest.raises(Refused) as refused:
        claim.check()
    assert refused.value.problem is STORE_UNAVAILABLE


async def test_what_was_taken_anew_meanwhile_is_not_given_back(registry: Registry, names: Names) -> None:
    owner = await tenant(registry)
    await names.take(NAME, owner)
    verified_at = registry.clock.now()
    registry.clock.time += 5
    await names.take(NAME, owner)
    await names.give_back(NAME, owner, verified_at)
    with pytest.raises(Refused):
        await names.take(NAME, await tenant(registry))


async def test_a_host_leads_to_whoever_has_proved_it_last(registry: Registry, domains: Domains, zone: Zone) -> None:
    first, second, host = await tenant(registry), await tenant(registry), TenantByHost(NAME)
    other = registry_over(registry.shelf.store)
    domain_id = await proved(domains, zone, first)
    for records in (registry.records, other.records):
        found = await records.resolve(host)
        assert found is not None
        assert found.id == first
        assert records.peek(host) == found
    await domains.delete("platform", first, domain_id)
    # The other worker has heard of the change, as its listener sees to, and reads the record again for another reason.
    other.records.forget(found)
    await other.records.resolve(TenantById(first))
    assert other.records.peek(host) is None
    assert await other.records.resolve(host) is None
    await proved(domains, zone, second)
    for records in (registry.records, other.records):
        found = await records.resolve(host)
        assert found is not None
        assert found.id == second


async def test_a_claim_or_an_organizations_domain_is_no_tenants_host(
    registry: Registry, domains: Domains, names: Names, zone: Zone
) -> None:
    owner, host = await tenant(registry), TenantByHost(NAME)
    await domains.create("platform", owner, NAME)
    await names.take(NAME, owner)
    assert await registry.records.resolve(host) is None
    await registry.store.control.command("DEL", registry.store.keys.domain(NAME))
    await proved(domains, zone, "platform")
    assert await registry.records.resolve(host) is None


async def test_the_organization_is_found_by_its_name_with_what_it_has_proved(
    registry: Registry, domains: Domains, zone: Zone
) -> None:
    await proved(domains, zone, "platform")
    org = await registry.records.resolve(OrgByName("platform"))
    assert isinstance(org, Organization)
    assert [domain.name for domain in org.domains] == [NAME]
    assert registry.records.peek(OrgByName("platform")) == org


async def test_a_claim_that_is_refused_leaves_nothing_in_the_list(registry: Registry, domains: Domains) -> None:
    owner = await tenant(registry)
    await domains.create("platform", owner, NAME)
    for _ in range(3):
        with pytest.raises(Refused):
            await domains.create("platform", owner, NAME)
    assert await registry.store.control.command("ZCARD", registry.store.keys.domains("platform")) == 1


async def test_a_key_can_be_for_its_owners_domains_and_the_organizations(registry: Registry, domains: Domains) -> None:
    first, second = await tenant(registry), await tenant(registry)
    of = {owner: (await domains.create("platform", owner, NAME)).id for owner in (first, second, "platform")}
    foreign = (await domains.create("other", "other", NAME)).id
    ids = [*of.values(), foreign, "dom_01kj9jf3w8e7d9x2v5b6c4n1m0"]
    assert await domains.usable("platform", first, ids) == {of[first], of["platform"]}
    assert await domains.usable("platform", "platform", ids) == set(of.values())
    assert await domains.usable("other", "other", ids) == {foreign}


async def test_what_happens_to_a_domain_is_in_the_trail_without_its_token(
    registry: Registry, domains: Domains, zone: Zone
) -> None:
    owner = await tenant(registry)
    domain_id = await proved(domains, zone, owner)
    await domains.delete("platform", owner, domain_id)
    (token,) = (text.removeprefix("tenantgate-verify=") for text in zone.texts[f"_tenantgate.{NAME}"])
    entries = (await registry.audit.search("platform", 10)).entries
    told = [entry.fields() for entry in entries]
    assert [one["action"] for one in told[:3]] == ["domain.deleted", "domain.verified", "domain.created"]
    assert all(one["metadata"] == {"domain_id": domain_id, "domain": NAME} for one in told[:3])
    assert token.encode() not in b"".join(entry.text for entry in entries)
