"""Webhooks of a whole gateway: from a call of its API, or a request that a cap refuses, to the endpoint."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from gateway.app import Gateway, open_gateway
from gateway.registry.tenants import NewTenant
from gateway.settings.schema import Settings
from tests.api.public import SCOPES, client
from tests.webhooks.receiver import Receiver


def settings(store_url: str, prefix: str, **webhooks: object) -> Settings:
    policies, quota = ["api_key", "tenant_match", "tenant_status"], {"quota": {"metric": "requests"}}
    return Settings.model_validate(
        {
            "version": 1,
            "store": {"url": store_url, "prefix": prefix, "deadline": "5s"},
            "secrets": {"encryption_key": base64.b64encode(b"k" * 32).decode()},
            "plans": {"tiny": {"quotas": {"requests": 1}}},
            "orgs": {"main": {"default_plan": "tiny"}},
            "webhooks": webhooks,
            "routes": [
                {"name": "webhooks", "path": "/webhooks/*", "builtin": "webhooks", "policies": policies},
                {
                    "name": "plan",
                    "path": "/plan",
                    "builtin": "billing_plan",
                    "policies": [*policies, quota],
                },
            ],
        }
    )


@pytest.fixture
async def gateways(store_url: str, key_prefix: str) -> AsyncIterator[list[Gateway]]:
    """Two that share a store."""
    shared = settings(store_url, key_prefix, allow_http=True, allow_private=["127.0.0.0/8"])
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_gateway(shared)) for _ in range(2)]


async def key(gateway: Gateway, owner: object) -> httpx.AsyncClient:
    minted = await gateway.keys.mint(owner, "test", SCOPES, created_by="tests")  # type: ignore[arg-type]
    return client(gateway, {"X-Api-Key": minted.text})


async def test_what_one_gateway_changes_and_refuses_reaches_the_endpoint(gateways: list[Gateway], receiver: Receiver) -> None:
    first, second = gateways
    async with await key(first, "main") as root:
        made = await root.post("/webhooks", json={"url": receiver.url})
        assert made.status_code == 201, made.text
    tenant = (await second.tenants.create(NewTenant("main", "Acme"))).tenant
    await receiver.until(1)
    async with await key(second, tenant.id) as bound:
        assert [(await bound.get("/plan")).status_code for _ in range(3)] == [200, 429, 429]
    await receiver.until(2)
    async with await key(second, "main") as root:
        place = f"/webhooks/{made.json()['id']}"
        assert (await root.post(f"{place}/test")).status_code == 202
        await receiver.until(3)
        assert receiver.types == ["tenant.created", "tenant.quota_exceeded", "webhook.test"]
        listed = (await root.get(f"{place}/deliveries")).json()["data"]
        assert [one["outcome"] for one in listed[-2:]] == ["delivered"] * 2


async def test_a_private_endpoint_is_refused_unless_it_is_allowed(store_url: str, key_prefix: str, receiver: Receiver) -> None:
    async with open_gateway(settings(store_url, key_prefix, allow_http=True)) as gateway, await key(gateway, "main") as root:
        assert (await root.post("/webhooks", json={"url": receiver.url})).status_code == 422
        named = await root.post("/webhooks", json={"url": f"http://localhost:{receiver.port}/"})
        place = f"/webhooks/{named.json()['id']}"
        await root.post(f"{place}/test")
        async with asyncio.timeout(10):
            while not (listed := (await root.get(f"{place}/deliveries")).json()["data"]):
                await asyncio.sleep(0.05)
    assert (listed[0]["outcome"], listed[0]["error"]) == ("lost", "the host's address is not allowed")
    assert receiver.got == []
