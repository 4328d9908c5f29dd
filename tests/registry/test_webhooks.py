"""Webhooks in the record of their owner: as they were made, noted in the audit trail, and readable with the right key alone."""

from __future__ import annotations

from base64 import b64decode
from uuid import UUID

import pytest

from gateway.errors import NOT_FOUND, SECRETS_UNREADABLE, TOO_MANY_WEBHOOKS, Refused
from gateway.registry.cipher import Cipher
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from gateway.tenancy.ids import new_id, typeid
from tests.registry.samples import KEY, Registry, registry_over
from tests.registry.test_secrecy import NEW_KEY

URL = "https://hooks.example.com/token?more=token"


@pytest.fixture(params=["platform", "tenant"])
async def owner(request: pytest.FixtureRequest, registry: Registry) -> UUID | str:
    if request.param == "platform":
        return "platform"
    return (await registry.tenants.create(NewTenant("platform", "Acme"))).tenant.id


async def test_a_webhook_is_found_as_it_was_made(registry: Registry, owner: UUID | str) -> None:
    held, secret = await registry.webhooks.create("platform", owner, URL, ("tenant.created",), "Ours")
    assert await registry.webhooks.find("platform", held.webhook.id) == held
    assert held.webhook.secrets[0].value == b64decode(secret.removeprefix("whsec_"))
    assert (held.webhook.url, held.webhook.events, held.webhook.description) == (URL, ("tenant.created",), "Ours")
    assert await registry.webhooks.page("platform", 10) == ([held], None)
    assert await registry.webhooks.page("other", 10) == ([], None)


async def test_each_change_is_noted_without_secrets(registry: Registry, owner: UUID | str) -> None:
    held, first = await registry.webhooks.create("platform", owner, URL, None, "")
    held, second = await registry.webhooks.roll_secret(held, 60)
    await registry.webhooks.delete(held)
    entries = (await registry.audit.search("platform", 3)).entries
    assert [entry.fields()["action"] for entry in entries] == ["webhook.deleted", "webhook.secret_rolled", "webhook.created"]
    metadata = entries[-1].fields()["metadata"]
    assert metadata == {"webhook_id": held.webhook.id, "host": "hooks.example.com", "events": None}
    text = b"".join(entry.text for entry in entries)
    assert [canary for canary in (first[6:], second[6:], "token") if canary.encode() in text] == []


async def test_a_deleted_webhook_is_not_found(registry: Registry, owner: UUID | str) -> None:
    held, _ = await registry.webhooks.create("platform", owner, URL, None, "")
    await registry.webhooks.delete(held)
    for again in (registry.webhooks.find("platform", held.webhook.id), registry.webhooks.delete(held)):
        with pytest.raises(Refused) as caught:
            await again
        assert caught.value.problem is NOT_FOUND
    assert await registry.webhooks.page("platform", 10) == ([], None)


async def test_one_that_is_too_many_leaves_nothing_behind(registry: Registry, owner: UUID | str) -> None:
    for _ in range(20):
        await registry.webhooks.create("platform", owner, URL, None, "")
    with pytest.raises(Refused) as caught:
        await registry.webhooks.create("platform", owner, URL, None, "")
    assert caught.value.problem is TOO_MANY_WEBHOOKS
    assert await registry.store.control.command("ZCARD", registry.store.keys.webhooks("platform")) == 20


async def test_a_webhook_of_no_tenant_is_not_made(registry: Registry) -> None:
    with pytest.raises(Refused) as caught:
        await registry.webhooks.create("platform", new_id(), URL, None, "")
    assert caught.value.problem is NOT_FOUND
    assert await registry.webhooks.page("platform", 10) == ([], None)


async def test_a_tenants_caller_finds_no_other_ones(registry: Registry, owner: UUID | str) -> None:
    held, _ = await registry.webhooks.create("platform", owner, URL, None, "")
    sibling = (await registry.tenants.create(NewTenant("platform", "Sibling"))).tenant
    for name in (held.webhook.id, typeid("whk", new_id())):
        with pytest.raises(Refused) as caught:
            await registry.webhooks.find("platform", name, sibling.id)
        assert caught.value.problem is NOT_FOUND


async def test_old_secrets_end_with_their_overlap(registry: Registry, owner: UUID | str) -> None:
    held, _ = await registry.webhooks.create("platform", owner, URL, None, "")
    for overlap, kept in ((60, 2), (60, 3), (60, 4), (60, 4), (0, 1)):
        held, _ = await registry.webhooks.roll_secret(held, overlap)
        assert len(held.webhook.secrets) == kept
    held, _ = await registry.webhooks.roll_secret(held, 60)
    registry.clock.time += 61
    held, _ = await registry.webhooks.roll_secret(held, 60)
    assert len(held.webhook.secrets) == 2


async def test_secrets_and_urls_are_encrypted_anew_with_all_others(store: Store, owner: UUID | str) -> None:
    held, _ = await registry_over(store).webhooks.create("platform", owner, URL, None, "")
    during, after = registry_over(store, Cipher(NEW_KEY, [KEY])), registry_over(store, Cipher(NEW_KEY))
    with pytest.raises(Refused) as caught:
        await after.webhooks.find("platform", held.webhook.id)
    assert caught.value.problem is SECRETS_UNREADABLE
    assert await during.tenants.reencrypt() == 1
    assert await during.tenants.reencrypt() == 0
    assert await after.webhooks.find("platform", held.webhook.id) == held
