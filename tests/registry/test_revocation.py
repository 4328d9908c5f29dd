"""Revoked tokens: which are refused from then on, what is forgotten again, and that it stays bounded."""

from __future__ import annotations

from uuid import UUID

import pytest

from gateway.errors import NOT_FOUND, TOO_MANY_REVOCATIONS, Refused
from gateway.registry.tenants import NewTenant
from gateway.tenancy.credential import Revocations
from gateway.tenancy.ids import new_id
from tests.registry.samples import Registry

DAY = 86400


@pytest.fixture
async def tenant_id(registry: Registry) -> UUID:
    return (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant.id


async def revoked(registry: Registry, tenant_id: UUID) -> Revocations:
    return (await registry.tenants.get(tenant_id)).revocations


async def test_a_token_is_remembered_until_no_leeway_can_let_it_in(registry: Registry, tenant_id: UUID) -> None:
    ends = registry.clock.time + 60
    await registry.revocations.one(tenant_id, "a", ends)
    registry.clock.time = ends + DAY - 1
    await registry.revocations.one(tenant_id, "b")
    assert set((await revoked(registry, tenant_id)).tokens) == {"a", "b"}
    registry.clock.time = ends + DAY
    await registry.revocations.one(tenant_id, "c", registry.clock.time + 9)
    assert set((await revoked(registry, tenant_id)).tokens) == {"b", "c"}


async def test_a_revocation_is_never_taken_back(registry: Registry, tenant_id: UUID) -> None:
    now = registry.clock.time
    await registry.revocations.one(tenant_id, "a")
    forever = await revoked(registry, tenant_id)
    await registry.revocations.one(tenant_id, "a", now + 5)
    assert await revoked(registry, tenant_id) == forever
    for instant in (now, now - 100):
        await registry.revocations.issued_before(tenant_id, instant, "anna")
        await registry.revocations.issued_before(tenant_id, instant - 50)
    found = await revoked(registry, tenant_id)
    assert (found.subjects, found.issued_before) == ({"anna": now}, now - 50)


async def test_subjects_who_are_revoked_with_everybody_are_forgotten(registry: Registry, tenant_id: UUID) -> None:
    now = registry.clock.time
    await registry.revocations.issued_before(tenant_id, now - 10, "anna")
    await registry.revocations.issued_before(tenant_id, now, "bert")
    await registry.revocations.issued_before(tenant_id, now - 10)
    assert await revoked(registry, tenant_id) == Revocations(subjects={"bert": now}, issued_before=now - 10)


async def test_there_is_a_bound_and_a_way_out(registry: Registry, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.registry.revocation._MOST", 2)
    revocations, now = registry.revocations, registry.clock.time
    for number in range(2):
        await revocations.one(tenant_id, f"t{number}")
        await revocations.issued_before(tenant_id, now, f"s{number}")
    for one_more in (revocations.one(tenant_id, "t2"), revocations.issued_before(tenant_id, now, "s2")):
        with pytest.raises(Refused) as caught:
            await one_more
        assert caught.value.problem is TOO_MANY_REVOCATIONS
    await revocations.issued_before(tenant_id, now)
    assert (await revoked(registry, tenant_id)).subjects == {}
    await revocations.issued_before(tenant_id, now + 1, "s2")


async def test_the_audit_trail_tells_what_was_revoked(registry: Registry, tenant_id: UUID) -> None:
    await registry.revocations.one(tenant_id, "a", registry.clock.time)
    await registry.revocations.issued_before(tenant_id, registry.clock.time - 0.5, "anna")
    entries = [entry.fields() for entry in (await registry.audit.search("platform", 2)).entries]
    assert [entry["action"] for entry in entries] == ["tokens.revoked"] * 2
    assert [entry["metadata"] for entry in entries] == [
        {"subject": "anna", "issued_before": "2026-05-28T20:26:40Z"},
        {"jti": "a", "expires_at": "2026-05-28T20:26:40Z"},
    ]


async def test_an_unknown_tenant_is_not_found(registry: Registry) -> None:
    with pytest.raises(Refused) as caught:
        await registry.revocations.one(new_id(), "a")
    assert caught.value.problem is NOT_FOUND
