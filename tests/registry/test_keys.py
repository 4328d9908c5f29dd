from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from gateway.errors import NOT_FOUND, TOO_MANY_KEYS, Refused
from gateway.pipeline.lookup import OwnerOfKey
from gateway.registry.keys import Keys
from gateway.registry.tenants import NewTenant
from gateway.tenancy.ids import new_id
from gateway.tenancy.keytext import digest_of, is_api_key
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Tenant
from tests.registry.samples import Registry


@pytest.fixture(params=["platform", "tenant"])
async def owner(request: pytest.FixtureRequest, registry: Registry) -> UUID | str:
    if request.param == "platform":
        return "platform"
    return (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant.id


async def test_a_minted_key_leads_to_its_owner_whose_record_holds_it(registry: Registry, owner: UUID | str) -> None:
    minted = await registry.keys.mint(
        owner,
        "ci",
        frozenset({"read:tenants"}),
        created_by="ops",
        environment="test",
        allowed_domain_ids=("dom_1",),
        rate=RateLimit(5, 60, 7),
        expires_at=registry.clock.time + 60,
    )
    assert is_api_key("tg", minted.text)
    assert minted.text.startswith("tg_test_")
    assert minted.key.id.startswith("key_")
    assert minted.key.last_four == minted.text[-4:]
    record = await registry.records.resolve(OwnerOfKey(digest_of(minted.text)))
    assert isinstance(record, Tenant | Organization)
    assert record.id == owner
    assert record.keys == (minted.key,) == await registry.keys.list(owner)
    assert record.updated_at == registry.clock.time


async def test_a_revoked_key_stays_in_the_record_as_revoked(registry: Registry, owner: UUID | str) -> None:
    first = await registry.keys.mint(owner, "a", frozenset(), created_by="ops")
    second = await registry.keys.mint(owner, "b", frozenset(), created_by="ops")
    registry.clock.time += 5
    revoked = await registry.keys.revoke(owner, first.key.id)
    assert revoked.revoked_at == registry.clock.time
    registry.clock.time += 5
    assert await registry.keys.revoke(owner, first.key.id) == revoked
    assert await registry.keys.list(owner) == (second.key, revoked)


async def test_a_key_that_ended_long_ago_is_forgotten_when_another_is_minted(registry: Registry, owner: UUID | str) -> None:
    old = await registry.keys.mint(owner, "a", frozenset(), created_by="ops")
    await registry.keys.revoke(owner, old.key.id)
    registry.clock.time += 91 * 86400
    new = await registry.keys.mint(owner, "b", frozenset(), created_by="ops")
    assert await registry.keys.list(owner) == (new.key,)
    assert await registry.records.resolve(OwnerOfKey(digest_of(old.text))) is None


async def test_an_owner_has_no_more_than_two_hundred_keys(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, owner: UUID | str
) -> None:
    monkeypatch.setattr("gateway.registry.keys._KEYS_MAX", 3)
    for _ in range(3):
        await registry.keys.mint(owner, "a", frozenset(), created_by="ops")
    with pytest.raises(Refused) as caught:
        await registry.keys.mint(owner, "a", frozenset(), created_by="ops")
    assert caught.value.problem is TOO_MANY_KEYS


async def test_keys_minted_at_once_are_all_kept(registry: Registry, owner: UUID | str) -> None:
    await asyncio.gather(*(registry.keys.mint(owner, f"k{i}", frozenset(), created_by="ops") for i in range(50)))
    assert len(await registry.keys.list(owner)) == 50


@pytest.mark.parametrize("owner", [new_id(), "nobody"], indirect=False)
async def test_an_unknown_owner_is_not_found(registry: Registry, owner: UUID | str) -> None:
    for call in (
        registry.keys.mint(owner, "a", frozenset(), created_by="ops"),
        registry.keys.revoke(owner, "key_1"),
        registry.keys.list(owner),
    ):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.problem is NOT_FOUND


async def test_an_unknown_key_is_not_found(registry: Registry) -> None:
    with pytest.raises(Refused) as caught:
        await Keys.revoke(registry.keys, "platform", "key_1")
    assert caught.value.problem is NOT_FOUND
