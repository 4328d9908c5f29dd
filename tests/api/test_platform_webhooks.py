"""Webhooks on the public listener: made, seen and changed by whom they belong to, and by nobody else."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.tenant import Status
from tests.api.public import Platform
from tests.api.test_platform_tenants import code

HOOKS = "/api/v1/webhooks"
URL = "https://hooks.example.com/t"


async def made(caller: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    answer = await caller.post(HOOKS, json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


async def seen(caller: httpx.AsyncClient, **query: object) -> list[str]:
    answer = await caller.get(HOOKS, params=query)
    assert answer.status_code == 200, answer.text
    return [webhook["id"] for webhook in answer.json()["data"]]


@asynccontextmanager
async def bound_to_two(platform: Platform) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    async with await platform.caller(own.id) as one, await platform.caller(sibling.id) as other:
        yield one, other


async def test_the_secret_is_shown_once(platform: Platform) -> None:
    webhook = await made(platform.root, events=["tenant.created", "tenant.created"], description="Ours")
    secret = webhook.pop("secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert (webhook["tenant_id"], webhook["events"], webhook["enabled"]) == (None, ["tenant.created"], True)
    shown = await platform.root.get(f"{HOOKS}/{webhook['id']}")
    assert shown.json() == webhook
    assert (await platform.root.get(HOOKS)).json()["data"] == [webhook]


async def test_a_creation_that_is_sent_again_makes_one_webhook(platform: Platform) -> None:
    answers = [await platform.root.post(HOOKS, json={"url": URL}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await seen(platform.root)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://hooks.example.com/"},
        {"url": "https://10.0.0.1/"},
        {"url": "https://[::1]/"},
        {"url": "https://user@hooks.example.com/"},
        {"url": "https://hooks.example.com:22/"},
        {"url": "ftp://hooks.example.com/"},
        {"url": ""},
        {"events": ["tenant.exploded"]},
        {"events": []},
        {"description": ""},
        {"secret": "whsec_mine"},
    ],
)
async def test_what_is_wrong_is_told_by_a_pointer(platform: Platform, fields: dict[str, object]) -> None:
    answer = await platform.root.post(HOOKS, json={"url": URL, **fields})
    assert code(answer) == (422, "INVALID_BODY")
    assert [error["pointer"].split("/")[1] for error in answer.json()["errors"]] == [*fields]


async def test_a_platform_makes_webhooks_for_its_own_tenants_only(platform: Platform) -> None:
    own, foreign = await platform.tenant("Own"), await platform.tenant("Foreign", org="other")
    assert (await made(platform.root, tenant_id=own.typeid))["tenant_id"] == own.typeid
    for hidden in (foreign.typeid, typeid("tnt", new_id())):
        answer = await platform.root.post(HOOKS, json={"url": URL, "tenant_id": hidden})
        assert code(answer) == (422, "INVALID_BODY")
        assert answer.json()["errors"] == [
            {"field": "tenant_id", "pointer": "/tenant_id", "message": "names no tenant"},
        ]


async def test_a_tenants_key_makes_webhooks_of_its_own_tenant_only(platform: Platform) -> None:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    async with await platform.caller(own.id) as bound:
        assert (await made(bound))["tenant_id"] == own.typeid
        assert (await made(bound, tenant_id=own.typeid))["tenant_id"] == own.typeid
        assert code(await bound.post(HOOKS, json={"url": URL, "tenant_id": sibling.typeid})) == (422, "INVALID_BODY")


async def test_what_belongs_to_somebody_else_is_as_unknown_as_what_does_not_exist(platform: Platform) -> None:
    async with bound_to_two(platform) as (one, other):
        hidden = [(await made(other))["id"], (await made(platform.root))["id"], typeid("whk", new_id()), "whk_x"]
        calls = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/roll-secret"), ("POST", "/test")]
        calls += [("GET", "/deliveries"), ("GET", "/dead-letters")]
        calls += [("POST", "/dead-letters/1-0/replay"), ("POST", "/dead-letters/replay")]
        for method, path in calls:
            for name in hidden:
                assert code(await one.request(method, f"{HOOKS}/{name}{path}")) == (404, "NOT_FOUND"), (method, path, name)
        assert await seen(one) == []
        assert len(await seen(other)) == 1
        assert len(await seen(platform.root)) == 2


async def test_a_list_goes_on_where_the_page_before_has_ended(platform: Platform) -> None:
    tenant = await platform.tenant()
    names = [(await made(platform.root, **fields))["id"] for fields in ({}, {"tenant_id": tenant.typeid}, {}, {})]
    first = (await platform.root.get(HOOKS, params={"limit": "3"})).json()
    rest = (await platform.root.get(HOOKS, params={"limit": "3", "cursor": first["next_cursor"]})).json()
    assert [webhook["id"] for webhook in first["data"] + rest["data"]] == names[::-1]
    assert rest["next_cursor"] is None
    assert await seen(platform.root, tenant_id=tenant.typeid) == [names[1]]


async def test_an_owner_has_only_so_many(platform: Platform) -> None:
    tenant = await platform.tenant()
    for _ in range(20):
        await made(platform.root, tenant_id=tenant.typeid)
    answer = await platform.root.post(HOOKS, json={"url": URL, "tenant_id": tenant.typeid})
    assert code(answer) == (409, "TOO_MANY_WEBHOOKS")
    assert len(await seen(platform.root, limit="100")) == 20


async def test_a_change_over_an_older_state_is_refused(platform: Platform) -> None:
    path = f"{HOOKS}/{(await made(platform.root))['id']}"
    etag = (await platform.root.get(path)).headers["etag"]
    changed = await platform.root.patch(path, json={"enabled": False, "events": None}, headers={"If-Match": etag})
    assert (changed.status_code, changed.json()["enabled"], changed.json()["url"]) == (200, False, URL)
    again = await platform.root.patch(path, json={"enabled": True}, headers={"If-Match": etag})
    assert code(again) == (412, "PRECONDITION_FAILED")
    assert code(await platform.root.patch(path, json={"url": "https://127.0.0.1/"})) == (422, "INVALID_BODY")


async def test_a_rolled_secret_is_another_one(platform: Platform) -> None:
    webhook = await made(platform.root)
    rolled = await platform.root.post(f"{HOOKS}/{webhook['id']}/roll-secret", json={"overlap_seconds": 60})
    assert rolled.status_code == 201
    assert rolled.json()["secret"] not in ("", webhook["secret"])
    far = await platform.root.post(f"{HOOKS}/{webhook['id']}/roll-secret", json={"overlap_seconds": 7 * 86400 + 1})
    assert code(far) == (422, "INVALID_BODY")


async def test_a_deleted_webhook_is_gone(platform: Platform) -> None:
    path = f"{HOOKS}/{(await made(platform.root))['id']}"
    assert (await platform.root.delete(path)).status_code == 200
    assert code(await platform.root.get(path)) == (404, "NOT_FOUND")
    assert await seen(platform.root) == []


async def test_a_suspended_tenant_makes_none(platform: Platform) -> None:
    tenant = await platform.tenant()
    async with await platform.caller(tenant.id) as bound:
        await platform.gateway.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert code(await bound.post(HOOKS, json={"url": URL})) == (403, "TENANT_SUSPENDED")


async def test_the_scope_is_demanded(platform: Platform) -> None:
    async with await platform.caller("main", frozenset({"read:tenants", "write:tenants"})) as other:
        assert code(await other.get(HOOKS)) == (403, "INSUFFICIENT_SCOPE")
