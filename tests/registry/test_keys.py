from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.errors import KEY_ENDED, NOT_FOUND, TOO_MANY_KEYS, Refused
from gateway.pipeline.lookup import OwnerOfKey
from gateway.registry.key_index import KeyIndex, OwnedKey
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


async def test_keys_that_have_ended_make_room(registry: Registry, monkeypatch: pytest.MonkeyPatch, owner: UUID | str) -> None:
    monkeypatch.setattr("gateway.registry.keys._KEYS_MAX", 3)
    keys = registry.keys
    first, second, third = [await keys.mint(owner, name, frozenset(), created_by="ops") for name in "abc"]
    for ended in (second, third):
        await keys.revoke(owner, ended.key.id)
        registry.clock.time += 1
    fourth = await keys.mint(owner, "d", frozenset(), created_by="ops")
    assert [key.name for key in await keys.list(owner)] == ["d", "c", "a"]
    fifth = await keys.roll(owner, fourth.key.id, 60, created_by="ops")
    assert [key.id for key in await keys.list(owner)] == [fifth.key.id, fourth.key.id, first.key.id]
    with pytest.raises(Refused) as caught:
        await keys.roll(owner, first.key.id, 60, created_by="ops")
    assert caught.value.problem is TOO_MANY_KEYS
    assert await registry.records.resolve(OwnerOfKey(digest_of(second.text))) is None


async def test_a_rolled_key_is_followed_by_one_like_it(registry: Registry, owner: UUID | str) -> None:
    old = await registry.keys.mint(
        owner, "ci", frozenset({"a"}), created_by="ops", environment="test", rate=RateLimit(5, 60, 7), allowed_domain_ids=("d",)
    )
    registry.clock.time += 5
    new = await registry.keys.roll(owner, old.key.id, 60, created_by="key_1")
    assert is_api_key("tg", new.text)
    made = {"id": new.key.id, "digest": digest_of(new.text), "last_four": new.text[-4:], "created_by": "key_1"}
    assert new.key == replace(old.key, **made, created_at=registry.clock.time)  # type: ignore[arg-type]
    record = await registry.records.resolve(OwnerOfKey(digest_of(new.text)))
    assert record is not None
    assert record.keys == (new.key, replace(old.key, expires_at=registry.clock.time + 60))


async def test_an_overlap_gives_no_key_more_time_than_it_had(registry: Registry, owner: UUID | str) -> None:
    ends = registry.clock.time + 10
    old = await registry.keys.mint(owner, "ci", frozenset(), created_by="ops", expires_at=ends)
    new = await registry.keys.roll(owner, old.key.id, 60, created_by="ops")
    assert [key.expires_at for key in await registry.keys.list(owner)] == [ends, ends]
    registry.clock.time = ends
    with pytest.raises(Refused) as caught:
        await registry.keys.roll(owner, new.key.id, 60, created_by="ops")
    assert caught.value.problem is KEY_ENDED


async def test_a_key_rolled_twice_at_once_without_overlap_is_followed_once(registry: Registry, owner: UUID | str) -> None:
    old = await registry.keys.mint(owner, "ci", frozenset(), created_by="ops")
    rolls = [registry.keys.roll(owner, old.key.id, 0, created_by="ops") for _ in range(5)]
    results = await asyncio.gather(*rolls, return_exceptions=True)
    refused = [one.problem for one in results if isinstance(one, Refused)]
    assert refused == [KEY_ENDED] * 4
    assert len(await registry.keys.list(owner)) == 2


async def test_a_key_that_has_ended_can_not_be_changed(registry: Registry, owner: UUID | str) -> None:
    key = (await registry.keys.mint(owner, "ci", frozenset(), created_by="ops", expires_at=registry.clock.time + 5)).key
    changed = await registry.keys.change(owner, key.id, lambda old: replace(old, expires_at=registry.clock.time + 9))
    assert await registry.keys.list(owner) == (changed,)
    registry.clock.time += 9
    with pytest.raises(Refused) as caught:
        await registry.keys.change(owner, key.id, lambda old: replace(old, expires_at=None))
    assert caught.value.problem is KEY_ENDED


async def test_the_audit_trail_tells_of_keys_and_holds_none(registry: Registry, owner: UUID | str) -> None:
    keys = registry.keys
    first = await keys.mint(owner, "ci", frozenset(), created_by="ops")
    await keys.change(owner, first.key.id, lambda old: replace(old, name="new"), {"name": "new"})
    second = await keys.roll(owner, first.key.id, 60, created_by="ops")
    await keys.revoke(owner, second.key.id)
    page = await registry.audit.search("platform", 4)
    entries = [entry.fields() for entry in page.entries]
    assert [entry["action"] for entry in entries] == ["key.revoked", "key.rolled", "key.updated", "key.created"]
    assert entries[2]["metadata"] == {"key_id": first.key.id, "name": "new"}
    assert entries[1]["metadata"] == {"key_id": first.key.id, "new_key_id": second.key.id, "overlap_seconds": 60}
    text = b"".join(entry.text for entry in page.entries).decode()
    assert not any(secret in text for one in (first, second) for secret in (one.text, one.key.digest))


async def test_a_key_is_found_by_its_id_within_its_organization_only(registry: Registry, owner: UUID | str) -> None:
    index = KeyIndex(registry.shelf)
    key = (await registry.keys.mint(owner, "ci", frozenset(), created_by="ops")).key
    assert await index.find("platform", key.id) == OwnedKey(owner, key)
    for org, key_id in (("other", key.id), ("platform", key.id[:-1]), ("platform", "key_1")):
        with pytest.raises(Refused) as caught:
            await index.find(org, key_id)
        assert caught.value.problem is NOT_FOUND


async def test_what_is_in_the_index_alone_is_no_key(registry: Registry, owner: UUID | str) -> None:
    index, store = KeyIndex(registry.shelf), registry.store
    key = (await registry.keys.mint(owner, "ci", frozenset(), created_by="ops")).key
    await store.control.command("ZADD", store.keys.keys("platform"), 0, f"key_9 {new_id()}", 0, "key_8 org:platform")
    assert await index.page("platform", 2) == ([], "key_8")
    assert await index.page("platform", 2, "key_8") == ([OwnedKey(owner, key)], None)
    registry.clock.time += 200 * 86400
    await registry.keys.revoke(owner, key.id)
    registry.clock.time += 200 * 86400
    other = (await registry.keys.mint(owner, "ci", frozenset(), created_by="ops")).key
    assert await index.page("platform", 9, "key_8") == ([OwnedKey(owner, other)], None)
    assert await store.control.command("ZCARD", store.keys.keys("platform")) == 3


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
