"""The client against a whole gateway: its methods do what their names say, and its types are those of the document."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, get_type_hints

import httpx
import pytest

from gateway.client import Client, Refusal, answers
from tests.api.public import Platform

ID = "tnt_01kj9je6hbfgyrwkttbdjcv7gf"
KEY = "key_01kj9je6hbfgyrwkttbdjcv7gf"
HOOK = "whk_01kj9je6hbfgyrwkttbdjcv7gf"
Call = Callable[[Client], Awaitable[object] | AsyncIterator[object]]

CALLS: Mapping[str, Call] = {
    "createTenant": lambda client: client.tenants.create(name="Acme"),
    "listTenants": lambda client: client.tenants.list(),
    "getTenant": lambda client: client.tenants.get(ID),
    "updateTenant": lambda client: client.tenants.update(ID, name="Acme"),
    "archiveTenant": lambda client: client.tenants.archive(ID),
    "suspendTenant": lambda client: client.tenants.suspend(ID, "late"),
    "unsuspendTenant": lambda client: client.tenants.unsuspend(ID),
    "acknowledgeTenant": lambda client: client.tenants.acknowledge(ID),
    "setTenantQuota": lambda client: client.tenants.set_quota(ID, monthly_email_cap=5),
    "mintKey": lambda client: client.keys.mint(name="Acme"),
    "listKeys": lambda client: client.keys.list(ID),
    "getKey": lambda client: client.keys.get(KEY),
    "updateKey": lambda client: client.keys.update(KEY, name="Acme"),
    "rollKey": lambda client: client.keys.roll(KEY),
    "revokeKey": lambda client: client.keys.revoke(KEY),
    "createWebhook": lambda client: client.webhooks.create(url="https://a.example"),
    "listWebhooks": lambda client: client.webhooks.list(ID),
    "getWebhook": lambda client: client.webhooks.get(HOOK),
    "updateWebhook": lambda client: client.webhooks.update(HOOK, enabled=False),
    "deleteWebhook": lambda client: client.webhooks.delete(HOOK),
    "rollWebhookSecret": lambda client: client.webhooks.roll_secret(HOOK),
    "testWebhook": lambda client: client.webhooks.test(HOOK),
    "listDeliveries": lambda client: client.webhooks.deliveries(HOOK),
    "listDeadLetters": lambda client: client.webhooks.dead_letters(HOOK),
    "replayDeadLetter": lambda client: client.webhooks.replay(HOOK, "dlv_1"),
    "replayDeadLetters": lambda client: client.webhooks.replay_all(HOOK),
    "getBillingPlan": lambda client: client.plan(),
}
TYPES: Mapping[str, type] = {
    "Tenant": answers.Tenant,
    "NewTenant": answers.NewTenant,
    "TenantChange": answers.TenantChange,
    "KeyShown": answers.Key,
    "MintedShown": answers.MintedKey,
    "NewKey": answers.NewKey,
    "KeyChange": answers.KeyChange,
    "WebhookShown": answers.Webhook,
    "WebhookMade": answers.MadeWebhook,
    "NewFields": answers.NewWebhook,
    "ChangedFields": answers.WebhookChange,
    "DeliveryShown": answers.Delivery,
    "DeadLetterShown": answers.DeadLetter,
    "Queued": answers.Queued,
    "Replayed": answers.Replayed,
    "PlanShown": answers.Plan,
}


@pytest.fixture
async def document(platform: Platform) -> Mapping[str, Any]:
    document: Mapping[str, Any] = (await platform.root.get("/openapi.json")).json()
    return document


async def made(call: Call) -> httpx.Request:
    """The request that a method makes."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": [], "next_cursor": None}, headers={"ETag": '"1"'})

    async with Client("http://gateway.test", "key", transport=httpx.MockTransport(answer)) as client:
        called = call(client)
        if isinstance(called, AsyncIterator):
            assert [one async for one in called] == []
        else:
            await called
    (request,) = seen
    return request


async def test_each_method_makes_the_call_that_the_document_describes(document: Mapping[str, Any]) -> None:
    for name, call in CALLS.items():
        described = [
            (method, path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if operation["operationId"] == name
        ]
        ((method, path, operation),) = described
        request = await made(call)
        assert request.method == method.upper(), name
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path), name
        known = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert {*request.url.params} <= known, name


async def test_each_type_has_the_fields_that_the_document_describes(document: Mapping[str, Any]) -> None:
    for name, kind in TYPES.items():
        described = {
            field for field in document["components"]["schemas"][name]["properties"] if not field.startswith("monthly_")
        }
        assert described == {*get_type_hints(kind)}, name


async def test_a_tenant_is_made_found_and_changed(client: Client) -> None:
    made = await client.tenants.create(name="Acme Corp", external_ref="cust_1")
    assert (made["slug"], made["external_ref"]) == ("acme-corp", "cust_1")
    shown, etag = await client.tenants.tagged(made["id"])
    assert shown == made
    changed = await client.tenants.update(made["id"], if_match=etag, plan="pro")
    assert changed["plan"] == "pro"
    with pytest.raises(Refusal) as raised:
        await client.tenants.update(made["id"], if_match=etag, plan="free")
    assert raised.value.code == "PRECONDITION_FAILED"


async def test_a_list_has_every_tenant_once(client: Client, platform: Platform) -> None:
    made = [(await platform.tenant(f"Tenant {number}")).typeid for number in range(120)]
    assert [tenant["id"] async for tenant in client.tenants.list()] == made[::-1]


async def test_a_platforms_key_sees_the_plan_of_the_tenant_that_it_names(client: Client, platform: Platform) -> None:
    tenant = await platform.tenant(plan="pro")
    assert (await client.plan(tenant.slug))["plan"] == "pro"


async def test_a_tenants_life(client: Client) -> None:
    tenant = (await client.tenants.create(name="Acme"))["id"]
    assert (await client.tenants.set_quota(tenant, monthly_email_cap=5))["monthly_email_cap"] == 5  # type: ignore[typeddict-item]
    assert (await client.tenants.suspend(tenant, "late"))["suspend_reason"] == "late"
    assert [one["id"] async for one in client.tenants.list(status="suspended")] == [tenant]
    assert (await client.tenants.unsuspend(tenant))["status"] == "active"
    assert (await client.tenants.archive(tenant))["status"] == "archived"


async def test_a_keys_life(client: Client, platform: Platform) -> None:
    tenant = (await client.tenants.create(name="Acme"))["id"]
    minted = await client.keys.mint(name="Acme prod", tenant_id=tenant, scopes=["read:tenants"])
    transport = httpx.ASGITransport(platform.gateway.public)
    async with Client("http://gateway.test", minted["key"], transport=transport) as own:
        assert [one["id"] async for one in own.tenants.list()] == [tenant]
    rolled = await client.keys.roll(minted["id"])
    assert (await client.keys.get(minted["id"]))["revoked_at"] is not None
    assert (await client.keys.update(rolled["id"], name="Acme"))["name"] == "Acme"
    assert [key["id"] async for key in client.keys.list(tenant)] == [rolled["id"], minted["id"]]
    await client.keys.revoke(rolled["id"])
