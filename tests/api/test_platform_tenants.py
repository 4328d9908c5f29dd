"""A platform's tenants on the public listener: who may see and change which, in which order, and over what."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.tenancy.ids import new_id, parse_id, typeid
from gateway.tenancy.tenant import Status
from tests.api.public import SCOPES, Platform

TENANTS = "/api/v1/tenants"


async def created(platform: Platform, **fields: object) -> dict[str, Any]:
    answer = await platform.root.post(TENANTS, json={"name": "Acme", **fields})
    assert answer.status_code == 201, answer.text
    tenant: dict[str, Any] = answer.json()
    return tenant


async def listed(caller: httpx.AsyncClient, **query: object) -> dict[str, Any]:
    answer = await caller.get(TENANTS, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_platform_makes_a_tenant_and_finds_it(platform: Platform) -> None:
    tenant = await created(platform, slug="acme", external_ref="cust_1", plan="pro")
    assert tenant["id"].startswith("tnt_")
    assert (tenant["slug"], tenant["external_ref"], tenant["plan"], tenant["status"]) == ("acme", "cust_1", "pro", "active")
    assert (await platform.root.get(f"{TENANTS}/{tenant['id']}")).json() == tenant
    assert (await listed(platform.root))["data"] == [tenant]


async def test_what_is_wrong_is_told_by_pointers(platform: Platform) -> None:
    answer = await platform.root.post(TENANTS, json={"slug": "No Slug", "plan": "gold", "a/b~c": 1})
    assert code(answer) == (422, "INVALID_BODY")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/name", "/slug", "/plan", "/a~1b~0c"}


async def test_a_wrong_parameter_is_told_by_its_name(platform: Platform) -> None:
    answer = await platform.root.get(TENANTS, params={"limit": "0"})
    assert code(answer) == (422, "INVALID_BODY")
    assert [error["parameter"] for error in answer.json()["errors"]] == ["limit"]


async def test_the_slug_never_changes(platform: Platform) -> None:
    tenant = await created(platform)
    assert code(await platform.root.patch(f"{TENANTS}/{tenant['id']}", json={"slug": "other"})) == (422, "INVALID_BODY")


async def test_a_change_over_an_older_state_is_refused(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    seen = (await platform.root.get(path)).headers["etag"]
    first = await platform.root.patch(path, json={"name": "First"}, headers={"If-Match": seen})
    assert (first.status_code, first.json()["name"]) == (200, "First")
    assert code(await platform.root.patch(path, json={"name": "Second"}, headers={"If-Match": seen})) == (
        412,
        "PRECONDITION_FAILED",
    )
    assert (await platform.root.get(path)).json()["name"] == "First"
    again = await platform.root.patch(path, json={"name": "Second"}, headers={"If-Match": first.headers["etag"]})
    assert again.json()["name"] == "Second"


async def test_a_bound_key_sees_its_own_tenant_only(platform: Platform) -> None:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    async with await platform.caller(own.id) as bound:
        assert [tenant["id"] for tenant in (await listed(bound))["data"]] == [own.typeid]
        assert (await bound.get(f"{TENANTS}/{own.typeid}")).json()["name"] == "Own"
        assert code(await bound.get(f"{TENANTS}/{sibling.typeid}")) == (404, "NOT_FOUND")


async def test_a_platform_sees_its_own_organizations_tenants_only(platform: Platform) -> None:
    foreign = await platform.tenant("Foreign", org="other")
    assert (await listed(platform.root))["data"] == []
    assert code(await platform.root.get(f"{TENANTS}/{foreign.typeid}")) == (404, "NOT_FOUND")
    assert code(await platform.root.patch(f"{TENANTS}/{foreign.typeid}", json={"name": "Mine"})) == (404, "NOT_FOUND")


async def test_what_is_somebody_elses_is_told_as_what_does_not_exist(platform: Platform) -> None:
    foreign, missing = await platform.tenant("Foreign", org="other"), typeid("tnt", new_id())
    own = await platform.tenant("Own")
    async with await platform.caller(own.id) as bound:
        for caller, hidden in ((platform.root, foreign), (bound, foreign), (bound, await platform.tenant("Sibling"))):
            told = [(await caller.get(f"{TENANTS}/{name}")).json() for name in (hidden.typeid, missing)]
            assert {**told[0], "request_id": ""} == {**told[1], "request_id": ""}


@pytest.mark.parametrize("name", ["tnt_none", "..", "0", "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"])
async def test_what_is_no_tenants_id_is_not_found(platform: Platform, name: str) -> None:
    answer = await platform.root.get(f"{TENANTS}/{name}")
    assert answer.status_code in (400, 404)


async def test_a_bound_key_makes_no_tenants_whatever_its_scopes_and_its_tenants_state(platform: Platform) -> None:
    tenant = await platform.tenant()
    for scopes in (SCOPES, frozenset[str]()):
        async with await platform.caller(tenant.id, scopes) as bound:
            assert code(await bound.post(TENANTS, json={"name": "X"})) == (403, "TENANT_KEY_CANNOT_CREATE_TENANTS")
    async with await platform.caller(tenant.id) as bound:
        await platform.gateway.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert code(await bound.post(TENANTS, json={"name": "X"})) == (403, "TENANT_KEY_CANNOT_CREATE_TENANTS")
        assert code(await bound.get(TENANTS)) == (403, "TENANT_SUSPENDED")


async def test_a_missing_scope_is_named(platform: Platform) -> None:
    async with await platform.caller("main", frozenset({"read:tenants"})) as reader:
        answer = await reader.post(TENANTS, json={"name": "X"})
        assert code(answer) == (403, "INSUFFICIENT_SCOPE")
        assert 'scope="write:tenants"' in answer.headers["www-authenticate"]
        assert (await reader.get(TENANTS)).status_code == 200


async def test_other_paths_and_methods_are_told_apart(platform: Platform) -> None:
    assert code(await platform.root.get(f"{TENANTS}/a/b/c")) == (404, "ROUTE_NOT_FOUND")
    assert code(await platform.root.get(f"{TENANTS}/")) == (404, "ROUTE_NOT_FOUND")
    answer = await platform.root.put(TENANTS, json={})
    assert code(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST"


async def test_a_list_goes_on_where_it_was_whatever_is_added_meanwhile(platform: Platform) -> None:
    first = [(await platform.tenant(f"T {number}")).typeid for number in range(7)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await listed(platform.root, limit=2, **cursor)
        found += [tenant["id"] for tenant in page["data"]]
        await platform.tenant("Later")
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == first[::-1]


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIiwiYiJd", "WyJuYW4iLCJhIl0", "", "e30", "9" * 600])
async def test_what_no_list_has_given_is_no_cursor(platform: Platform, cursor: str) -> None:
    assert code(await platform.root.get(TENANTS, params={"cursor": cursor})) == (422, "INVALID_BODY")


async def test_the_same_creation_again_is_answered_and_not_done(platform: Platform) -> None:
    once = {"Idempotency-Key": "k-1"}
    first = await platform.root.post(TENANTS, json={"name": "Acme"}, headers=once)
    again = await platform.root.post(TENANTS, json={"name": "Acme"}, headers=once)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    assert (again.headers["idempotency-replayed"], len((await listed(platform.root))["data"])) == ("true", 1)
    assert code(await platform.root.post(TENANTS, json={"name": "Other"}, headers=once)) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_list_is_searched(platform: Platform) -> None:
    acme = await created(platform, name="Acme Corp", external_ref="cust_1")
    zenith = await created(platform, name="Zenith")
    await platform.root.post(f"{TENANTS}/{zenith['id']}/suspend")

    async def found(caller: httpx.AsyncClient = platform.root, **query: object) -> list[str]:
        return [tenant["name"] for tenant in (await listed(caller, **query))["data"]]

    assert await found(q="corp") == await found(external_ref="cust_1") == await found(status="active") == ["Acme Corp"]
    assert await found(q="zen", status="suspended") == ["Zenith"]
    assert await found(q="zen", status="active") == await found(external_ref="cust_2") == []
    own = parse_id("tnt", acme["id"])
    assert own is not None
    async with await platform.caller(own) as bound:
        assert await found(bound, q="acme") == ["Acme Corp"]
        assert await found(bound, q="zen") == await found(bound, status="suspended") == []


@pytest.mark.parametrize("query", [{"status": "gone"}, {"q": ""}, {"q": "x" * 65}, {"external_ref": "a/b"}, {"sort": "name"}])
async def test_what_can_not_be_searched_for_is_told(platform: Platform, query: dict[str, str]) -> None:
    answer = await platform.root.get(TENANTS, params=query)
    assert code(answer) == (422, "INVALID_BODY")
    assert [error["parameter"] for error in answer.json()["errors"]] == list(query)
