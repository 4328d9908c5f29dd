"""The audit trail: an entry for every change, none lost, and no change of it that is not found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from gateway.errors import STORE_UNAVAILABLE, WRITE_NOT_DURABLE, Refused
from gateway.registry.audit_entry import SYSTEM, Actor
from gateway.registry.audit_verify import verify
from gateway.registry.tenants import Created, NewTenant
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Status, Tenant
from tests.registry.samples import Registry, registry_over

OPS = Actor("ops", "req-1")


async def trail(registry: Registry, org: str = "platform") -> list[dict[str, Any]]:
    """The oldest first."""
    return [entry.fields() for entry in reversed((await registry.audit.search(org, 500)).entries)]


async def created(registry: Registry, name: str = "Acme") -> Created:
    return await registry.tenants.by(OPS).create(NewTenant("platform", name))


def quota(tenant: Tenant) -> Tenant:
    return replace(tenant, caps={"messages": 5})


def fields(tenant: Tenant) -> Tenant:
    return replace(tenant, name="New", caps={"messages": 5}, rate=RateLimit(5, 1, 5))


Change = Callable[[Registry, Tenant], Awaitable[object]]
CHANGES: list[tuple[Change, str, dict[str, object]]] = [
    (
        lambda r, t: r.tenants.by(OPS).change(t.id, quota),
        "tenant.quota_updated",
        {"changed": {"caps": {"old": {}, "new": {"messages": 5}}}},
    ),
    (
        lambda r, t: r.tenants.by(OPS).change(t.id, fields),
        "tenant.updated",
        {
            "changed": {
                "caps": {"old": {}, "new": {"messages": 5}},
                "name": {"old": "Acme", "new": "New"},
                "rate_limit": {"old": None, "new": "5/second"},
            }
        },
    ),
    (
        lambda r, t: r.tenants.by(OPS).set_status(t.id, Status.SUSPENDED, "unpaid"),
        "tenant.suspended",
        {
            "reason": "unpaid",
            "changed": {"status": {"old": "active", "new": "suspended"}, "suspend_reason": {"old": None, "new": "unpaid"}},
        },
    ),
    (
        lambda r, t: r.tenants.by(OPS).set_status(t.id, Status.ARCHIVED),
        "tenant.archived",
        {"changed": {"status": {"old": "active", "new": "archived"}}},
    ),
    (lambda r, t: r.tenants.by(OPS).rotate_widget_key(t.id, 60), "tenant.widget_key_rotated", {"grace_seconds": 60}),
]


@pytest.mark.parametrize(("change", "action", "metadata"), CHANGES, ids=[action for _, action, _ in CHANGES])
async def test_every_change_writes_exactly_its_entry(registry, change, action, metadata):
    tenant = (await created(registry)).tenant
    await change(registry, tenant)
    _, entry = await trail(registry)
    assert entry["action"] == action
    assert entry["metadata"] == metadata
    assert (entry["actor"], entry["request_id"], entry["org"], entry["tenant"]) == ("ops", "req-1", "platform", tenant.typeid)
    assert entry["at"] == "2026-05-28T20:26:40.000000Z"


async def test_a_creation_notes_what_the_tenant_is_like(registry):
    tenant = (await created(registry)).tenant
    (entry,) = await trail(registry)
    assert entry["action"] == "tenant.created"
    assert entry["tenant"] == tenant.typeid
    assert entry["metadata"] == {
        "auto": False,
        "set": {"slug": "acme", "schema": "acme", "name": "Acme", "status": "active", "plan": "free"},
    }


async def test_lifting_a_suspension_and_rotating_a_secret_write_their_entries(registry):
    tenant = (await created(registry)).tenant
    await registry.tenants.set_status(tenant.id, Status.SUSPENDED, "unpaid")
    await registry.tenants.set_status(tenant.id, Status.ACTIVE)
    tenant, _ = await registry.tenants.rotate_secret(tenant.id, 30)
    *_, lifted, rotated = await trail(registry)
    assert (lifted["action"], lifted["actor"]) == ("tenant.unsuspended", SYSTEM.name)
    assert rotated["action"] == "tenant.secret_rotated"
    assert rotated["metadata"] == {"secret_id": tenant.secrets[0].id, "grace_seconds": 30}


@pytest.mark.parametrize("of_tenant", [True, False])
async def test_keys_of_tenants_and_of_organizations_write_their_entries(registry, of_tenant):
    tenant = (await created(registry)).tenant
    owner, keys = (tenant.id if of_tenant else "platform"), registry.keys.by(OPS)
    key = (await keys.mint(owner, "k", frozenset({"read:usage"}), created_by="ops")).key
    await keys.revoke(owner, key.id)
    await keys.revoke(owner, key.id)
    _, made, revoked = await trail(registry)
    assert (made["action"], made["metadata"]["key_id"], made["metadata"]["scopes"]) == ("key.created", key.id, ["read:usage"])
    assert (revoked["action"], revoked["metadata"]) == ("key.revoked", {"key_id": key.id})
    assert made["tenant"] == revoked["tenant"] == (tenant.typeid if of_tenant else None)


async def test_what_changes_nothing_or_is_refused_writes_no_entry(registry, store):
    tenant = (await created(registry)).tenant
    await registry.tenants.change(tenant.id, lambda same: same)
    with pytest.raises(Refused):
        await registry.tenants.set_status(tenant.id, Status.ACTIVE)
    with pytest.raises(Refused):
        await registry.tenants.create(NewTenant("platform", "B", slug="acme"))
    assert len(await trail(registry)) == 1
    assert await store.control.command("ZCARD", store.keys.named("audit-open")) == 0


async def test_organizations_have_trails_of_their_own(registry):
    await created(registry)
    await registry.tenants.create(NewTenant("other", "Else"))
    assert (
        [entry["seq"] for entry in await trail(registry)] == [entry["seq"] for entry in await trail(registry, "other")] == [1]
    )


async def test_a_callback_is_noted_without_its_query_which_may_hold_a_token(registry):
    tenant = (await created(registry)).tenant

    def called_back(at: str) -> Callable[[Tenant], Tenant]:
        return lambda old: replace(old, profile=replace(old.profile, callback_url=f"https://acme.example/hook?token={at}"))

    await registry.tenants.change(tenant.id, called_back("canary-one"))
    await registry.tenants.change(tenant.id, called_back("canary-two"))
    _, first, second = await trail(registry)
    assert first["metadata"]["changed"]["callback_url"] == {"old": None, "new": "https://acme.example/hook?…"}
    assert "callback_url" in second["metadata"]["changed"]
    assert "canary" not in json.dumps([first, second])


async def test_fifty_changes_at_once_by_two_gateways_make_one_unbroken_chain(registry, store):
    tenants = [(await created(registry, f"t{number}")).tenant for number in range(5)]
    others = registry_over(store)

    def named(number: int) -> Callable[[Tenant], Tenant]:
        return lambda old: replace(old, name=f"n{number}")

    await asyncio.gather(
        *((registry, others)[number % 2].tenants.change(tenants[number % 5].id, named(number)) for number in range(50))
    )
    verdict = await verify(registry.audit, "platform")
    assert (verdict.first, verdict.last, verdict.broken) == (1, 55, None)
    names = {entry["metadata"]["changed"]["name"]["new"] for entry in (await trail(registry))[5:]}
    assert names == {f"n{number}" for number in range(50)}


async def test_an_entry_is_hashed_with_the_hash_before_it_as_anyone_can_do(registry):
    tenant = (await created(registry)).tenant
    await registry.tenants.set_status(tenant.id, Status.ARCHIVED)
    prev = ""
    for entry in reversed((await registry.audit.search("platform", 500)).entries):
        assert entry.fields()["prev"] == prev
        text = json.dumps(entry.fields(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        prev = sha256(text).hexdigest()
        assert entry.hash == prev


# A crash between the change and its entry


def failing(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on the store does not answer calls of this script or command."""
    command, run = store.control.command, store.control.run

    async def refuse_command(*parts: Any) -> Any:
        if parts[0] == name:
            raise Refused(STORE_UNAVAILABLE)
        return await command(*parts)

    async def refuse_run(script: Script, *rest: Any) -> Any:
        if script.name == name:
            raise Refused(STORE_UNAVAILABLE)
        return await run(script, *rest)

    monkeypatch.setattr(store.control, "command", refuse_command)
    monkeypatch.setattr(store.control, "run", refuse_run)


@pytest.mark.parametrize("name", ["LRANGE", "append_audit", "LREM"])
async def test_an_entry_that_could_not_be_moved_is_told_and_there_when_the_trail_is_read(
    registry, store, monkeypatch, caplog, name
):
    tenant = (await created(registry)).tenant
    with monkeypatch.context() as broken:
        failing(store, broken, name)
        with pytest.raises(Refused) as refused:
            await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
    assert refused.value.problem is STORE_UNAVAILABLE
    assert refused.value.detail.startswith("The change is in force.")
    assert "audit entry still waits" in caplog.text
    assert (await registry.tenants.get(tenant.id)).status is Status.SUSPENDED
    assert [entry["action"] for entry in await trail(registry_over(store))] == ["tenant.created", "tenant.suspended"]
    assert (await verify(registry.audit, "platform")).broken is None


async def test_a_change_whose_answer_was_lost_is_noted_all_the_same(registry, store, monkeypatch):
    tenant = (await created(registry)).tenant
    write = registry.shelf.write

    async def lost(*args: Any) -> bool:
        await write(*args)
        raise Refused(STORE_UNAVAILABLE)

    with monkeypatch.context() as broken:
        broken.setattr(registry.shelf, "write", lost)
        with pytest.raises(Refused):
            await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
    assert [entry["action"] for entry in await trail(registry_over(store))] == ["tenant.created", "tenant.suspended"]


async def test_entries_of_one_tenant_keep_their_order_when_one_was_late(registry, store, monkeypatch):
    tenant = (await created(registry)).tenant
    with monkeypatch.context() as broken:
        failing(store, broken, "append_audit")
        with pytest.raises(Refused):
            await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
    await registry.tenants.set_status(tenant.id, Status.ACTIVE)
    actions = [entry["action"] for entry in await trail(registry)]
    assert actions == ["tenant.created", "tenant.suspended", "tenant.unsuspended"]


async def test_what_a_dead_change_has_left_is_forgotten_after_an_hour(registry, store, monkeypatch):
    tenant = (await created(registry)).tenant
    with monkeypatch.context() as broken:
        failing(store, broken, "append_audit")
        with pytest.raises(Refused):
            await registry.tenants.set_status(tenant.id, Status.SUSPENDED)
    listed = ("ZCARD", store.keys.named("audit-open"))
    await trail(registry)
    assert await store.control.command(*listed) == 1
    registry.clock.time += 3601
    await trail(registry)
    assert await store.control.command(*listed) == 0


async def test_a_change_that_is_not_known_to_be_on_disk_is_told_and_noted(registry, store, monkeypatch):
    tenant = (await created(registry)).tenant

    async def wait() -> None:
        raise Refused(WRITE_NOT_DURABLE)

    with monkeypatch.context() as broken:
        broken.setattr(store.durable, "wait", wait)
        with pytest.raises(Refused) as refused:
            await registry.keys.mint(tenant.id, "k", frozenset(), created_by="ops")
    assert refused.value.problem is WRITE_NOT_DURABLE
    (key,) = await registry.keys.list(tenant.id)
    # It is found by its text as well: a key that is in force is not taken out of the maps.
    assert await store.control.command("EXISTS", store.keys.api_key(key.digest)) == 1
    assert [entry["action"] for entry in await trail(registry)] == ["tenant.created", "key.created"]


# Tampering


async def rewrite(store: Store, edit: Callable[[list[list[Any]]], list[list[Any]]]) -> None:
    """Put another stream in the place of the trail, as who can write to the store could."""
    key = store.keys.audit("platform")
    items: Any = await store.control.command("XRANGE", key, "-", "+")
    await store.control.command("DEL", key)
    for name, values in edit(items):
        await store.control.command("XADD", key, name, *values)


@pytest.fixture
async def five(registry: Registry) -> Registry:
    for number in range(5):
        await created(registry, f"t{number}")
    return registry


@pytest.mark.parametrize("name", ["at", "actor", "action", "tenant", "org", "request_id", "metadata", "version", "seq", "prev"])
@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_change_of_any_field_is_found(five, store, name, number):
    def edit(items: list[list[Any]]) -> list[list[Any]]:
        values = items[number - 1][1]
        entry = json.loads(values[1])
        entry[name] = "changed"
        values[1] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        return items

    await rewrite(store, edit)
    assert (await verify(five.audit, "platform")).broken == number


@pytest.mark.parametrize(("number", "found"), [(1, 2), (3, 4), (5, 5)])
async def test_a_change_with_its_own_hash_made_anew_is_found_by_the_next_entry(five, store, number, found):
    def edit(items: list[list[Any]]) -> list[list[Any]]:
        values = items[number - 1][1]
        values[1] = values[1].replace(b'"actor":"ops"', b'"actor":"oops"')
        values[3] = sha256(values[1]).hexdigest()
        return items

    await rewrite(store, edit)
    assert (await verify(five.audit, "platform")).broken == found


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_an_entry_that_was_taken_out_is_found(five, store, number):
    await rewrite(store, lambda items: items[: number - 1] + items[number:])
    verdict = await verify(five.audit, "platform")
    assert (verdict.broken, verdict.fault) == (number, "missing")


async def test_a_trail_that_was_taken_away_is_found(five, store):
    await rewrite(store, lambda items: [])
    assert (await verify(five.audit, "platform")).broken == 1


async def test_a_trail_goes_on_where_it_was_when_entries_were_taken_from_its_end(five, store):
    await rewrite(store, lambda items: items[:3])
    await created(five, "later")
    assert (await verify(five.audit, "platform")).broken == 4


async def test_a_trail_without_any_entry_is_whole(registry):
    verdict = await verify(registry.audit, "platform")
    assert (verdict.first, verdict.last, verdict.broken) == (0, 0, None)


async def test_the_oldest_entries_go_when_there_are_too_many_and_the_rest_is_whole(registry, store, monkeypatch):
    for module in ("audit", "audit_verify"):
        monkeypatch.setattr(f"gateway.registry.{module}.KEPT", 10)
    await store.control.command("CONFIG", "SET", "stream-node-max-entries", 5)
    try:
        for number in range(30):
            await created(registry, f"t{number}")
        verdict = await verify(registry.audit, "platform")
    finally:
        await store.control.command("CONFIG", "SET", "stream-node-max-entries", 100)
    assert 10 < verdict.first <= 21
    assert (verdict.last, verdict.broken) == (30, None)
