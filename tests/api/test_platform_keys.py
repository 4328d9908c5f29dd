"""A platform's API keys on the public listener: what is minted, what becomes of it, and who may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.scopes import OWN_SCOPES, TENANT_SCOPES
from gateway.tenancy.tenant import Status
from tests.api.public import SCOPES, Platform, client

KEYS, TENANTS = "/api/v1/keys", "/api/v1/tenants"
LATER, PAST = "2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


async def minted(platform: Platform, **fields: object) -> dict[str, Any]:
    answer = await platform.root.post(KEYS, json={"name": "ci", **fields})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def listed(platform: Platform, **query: object) -> dict[str, Any]:
    answer = await platform.root.get(KEYS, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def pointers(platform: Platform, body: object) -> set[str]:
    answer = await platform.root.post(KEYS, json=body)
    assert code(answer) == (422, "INVALID_BODY")
    return {error["pointer"] for error in answer.json()["errors"]}


async def used(platform: Platform, key: str) -> str:
    """What a call with the key is answered."""
    async with client(platform.gateway, {"Authorization": f"Bearer {key}"}) as http:
        answer = await http.get(TENANTS)
        return "OK" if answer.status_code == 200 else str(answer.json()["code"])


async def test_a_key_is_shown_once_and_acts_for_its_tenant(platform: Platform) -> None:
    tenant = await platform.tenant()
    key = await minted(platform, tenant_id=tenant.typeid, environment="test", scopes=["read:tenants"], rate_limit="5/minute")
    assert key["key"].startswith("tg_test_")
    assert key["key"].endswith(key["last_four"])
    assert (key["prefix"], key["tenant_id"], key["scopes"], key["rate_limit"]) == (
        "tg_test",
        tenant.typeid,
        ["read:tenants"],
        "5/minute",
    )
    async with client(platform.gateway, {"X-Api-Key": key["key"]}) as bound:
        assert [one["id"] for one in (await bound.get(TENANTS)).json()["data"]] == [tenant.typeid]
    del key["key"]
    answer = await platform.root.get(f"{KEYS}/{key['id']}")
    assert answer.json() == key
    assert (await listed(platform, tenant_id=str(tenant.id)))["data"] == [key]


async def test_a_key_without_scopes_gets_all_of_its_kind(platform: Platform) -> None:
    tenant = await platform.tenant()
    assert (await minted(platform))["scopes"] == sorted(OWN_SCOPES)
    assert (await minted(platform, tenant_id=tenant.typeid))["scopes"] == sorted(TENANT_SCOPES)


async def test_a_platform_key_acts_for_the_whole_organization(platform: Platform) -> None:
    key = await minted(platform)
    assert key["tenant_id"] is None
    async with client(platform.gateway, {"X-Api-Key": key["key"]}) as root:
        assert (await root.post(TENANTS, json={"name": "New"})).status_code == 201


async def test_what_a_key_can_not_be_is_told_by_pointers(platform: Platform) -> None:
    tenant, foreign, archived = (
        await platform.tenant(),
        await platform.tenant("Foreign", org="other"),
        await platform.tenant("Gone"),
    )
    await platform.gateway.tenants.set_status(archived.id, Status.ARCHIVED)
    for tenant_id in (typeid("tnt", new_id()), foreign.typeid, archived.typeid, "acme", 5):
        assert await pointers(platform, {"name": "ci", "tenant_id": tenant_id}) == {"/tenant_id"}
    assert await pointers(platform, {"name": "ci", "expires_at": PAST}) == {"/expires_at"}
    assert await pointers(platform, {"name": "ci", "expires_at": "tomorrow"}) == {"/expires_at"}
    assert await pointers(platform, {"name": "ci", "scopes": ["read:everything"]}) == {"/scopes"}
    for scope in SCOPES - TENANT_SCOPES:
        assert await pointers(platform, {"name": "ci", "tenant_id": tenant.typeid, "scopes": [scope]}) == {"/scopes"}
    wrong = {"environment": "prod", "rate_limit": "fast", "allowed_domain_ids": ["x"], "owner": "me"}
    assert await pointers(platform, wrong) == {"/name", "/environment", "/rate_limit", "/allowed_domain_ids/0", "/owner"}
    assert (await listed(platform, tenant_id=tenant.typeid))["data"] == []


async def test_nobody_makes_a_key_that_may_do_more_than_his_own(platform: Platform) -> None:
    strong = await minted(platform)
    async with await platform.caller("main", frozenset({"write:keys", "read:usage"})) as weak:
        for body in ({"name": "x"}, {"name": "x", "scopes": ["read:audit", "read:usage"]}):
            answer = await weak.post(KEYS, json=body)
            assert code(answer) == (403, "INSUFFICIENT_SCOPE")
            assert "read:audit" in answer.headers["www-authenticate"]
        assert code(await weak.post(f"{KEYS}/{strong['id']}/roll")) == (403, "INSUFFICIENT_SCOPE")
        own = (await weak.post(KEYS, json={"name": "x", "scopes": ["read:usage"]})).json()
        more = await weak.patch(f"{KEYS}/{own['id']}", json={"scopes": ["read:usage", "read:audit"]})
        assert code(more) == (403, "INSUFFICIENT_SCOPE")
    assert await used(platform, strong["key"]) == "OK"


async def test_all_keys_of_an_organization_are_listed_the_newest_first(platform: Platform) -> None:
    tenants = [await platform.tenant("A"), await platform.tenant("B")]
    await platform.gateway.keys.mint("other", "theirs", SCOPES, created_by="tests")
    made = [(await minted(platform))["id"]]
    for number in range(5):
        made.append((await minted(platform, tenant_id=tenants[number % 2].typeid))["id"])
    first = await listed(platform, limit=4)
    rest = await listed(platform, limit=4, cursor=first["next_cursor"])
    found = [key["id"] for key in [*first["data"], *rest["data"]]]
    assert (found[:6], len(found), rest["next_cursor"]) == (made[::-1], 7, None)
    of_one = await listed(platform, limit=2, tenant_id=tenants[0].typeid)
    assert [key["id"] for key in of_one["data"]] == [made[5], made[3]]
    end = await listed(platform, limit=2, tenant_id=tenants[0].typeid, cursor=of_one["next_cursor"])
    assert ([key["id"] for key in end["data"]], end["next_cursor"]) == ([made[1]], None)


async def test_a_change_leaves_the_fields_that_are_absent(platform: Platform) -> None:
    key = await minted(platform, expires_at=LATER, rate_limit="5/minute")
    path = f"{KEYS}/{key['id']}"
    seen = (await platform.root.get(path)).headers["etag"]
    first = await platform.root.patch(path, json={"name": "new", "rate_limit": None}, headers={"If-Match": seen})
    del key["key"]
    assert first.json() == {**key, "name": "new", "rate_limit": None}
    assert code(await platform.root.patch(path, json={"name": "newer"}, headers={"If-Match": seen})) == (
        412,
        "PRECONDITION_FAILED",
    )
    narrowed = await platform.root.patch(path, json={"scopes": ["read:usage"]}, headers={"If-Match": first.headers["etag"]})
    assert narrowed.json()["scopes"] == ["read:usage"]
    for field in ("tenant_id", "environment", "key"):
        assert code(await platform.root.patch(path, json={field: "live"})) == (422, "INVALID_BODY")
    assert code(await platform.root.patch(path, json={"expires_at": PAST})) == (422, "INVALID_BODY")


async def test_a_change_of_scopes_is_in_force_when_it_has_answered(platform: Platform) -> None:
    key = await minted(platform, tenant_id=(await platform.tenant()).typeid)
    assert await used(platform, key["key"]) == "OK"
    await platform.root.patch(f"{KEYS}/{key['id']}", json={"scopes": ["read:usage"]})
    assert await used(platform, key["key"]) == "INSUFFICIENT_SCOPE"


async def test_the_tag_of_a_minted_key_is_that_of_the_key(platform: Platform) -> None:
    answer = await platform.root.post(KEYS, json={"name": "ci"})
    assert (await platform.root.get(f"{KEYS}/{answer.json()['id']}")).headers["etag"] == answer.headers["etag"]


async def test_a_rolled_key_ends_at_once_unless_an_overlap_is_asked_for(platform: Platform) -> None:
    tenant = await platform.tenant()
    first = await minted(platform, tenant_id=tenant.typeid, name="backend", scopes=["read:tenants"])
    answer = await platform.root.post(f"{KEYS}/{first['id']}/roll", json={"overlap_seconds": 600})
    second = answer.json()
    assert (answer.status_code, second["name"], second["tenant_id"], second["scopes"]) == (
        201,
        "backend",
        tenant.typeid,
        ["read:tenants"],
    )
    assert [await used(platform, key["key"]) for key in (first, second)] == ["OK", "OK"]
    third = (await platform.root.post(f"{KEYS}/{second['id']}/roll")).json()
    assert [await used(platform, key["key"]) for key in (first, second, third)] == ["OK", "KEY_REVOKED", "OK"]
    old, ended, new = [(await platform.root.get(f"{KEYS}/{key['id']}")).json() for key in (first, second, third)]
    assert old["expires_at"] is not None
    assert old["revoked_at"] is None
    assert ended["revoked_at"] is not None
    assert (new["expires_at"], new["revoked_at"]) == (None, None)


async def test_an_overlap_has_a_bound(platform: Platform) -> None:
    key = await minted(platform)
    for overlap in (-1, 604801, 1.5, "60", None):
        answer = await platform.root.post(f"{KEYS}/{key['id']}/roll", json={"overlap_seconds": overlap})
        assert code(answer) == (422, "INVALID_BODY")


async def test_a_revoked_key_is_refused_and_stays_so(platform: Platform) -> None:
    key = await minted(platform)
    path = f"{KEYS}/{key['id']}"
    assert await used(platform, key["key"]) == "OK"
    revoked = await platform.root.delete(path)
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    assert await used(platform, key["key"]) == "KEY_REVOKED"
    assert (await platform.root.delete(path)).json() == revoked.json()
    for answer in (await platform.root.post(f"{path}/roll"), await platform.root.patch(path, json={"expires_at": None})):
        assert code(answer) == (409, "KEY_ENDED")


async def test_keys_of_others_are_told_as_keys_that_do_not_exist(platform: Platform) -> None:
    foreign = await platform.gateway.keys.mint("other", "theirs", SCOPES, created_by="tests")
    for key_id in (foreign.key.id, typeid("key", new_id()), "key_x", "0", typeid("tnt", new_id())):
        path = f"{KEYS}/{key_id}"
        answers = [
            await platform.root.get(path),
            await platform.root.patch(path, json={"name": "mine"}),
            await platform.root.post(f"{path}/roll"),
            await platform.root.delete(path),
        ]
        assert [code(answer) for answer in answers] == [(404, "NOT_FOUND")] * 4
    assert await used(platform, foreign.text) == "OK"


async def test_a_bound_key_has_no_business_with_keys_whatever_its_scopes(platform: Platform) -> None:
    tenant = await platform.tenant()
    own = await minted(platform, tenant_id=tenant.typeid)
    async with await platform.caller(tenant.id, SCOPES) as bound:
        path = f"{KEYS}/{own['id']}"
        answers = [
            await bound.post(KEYS, json={"name": "x"}),
            await bound.get(KEYS),
            await bound.get(path),
            await bound.patch(path, json={"name": "x"}),
            await bound.post(f"{path}/roll"),
            await bound.delete(path),
        ]
        assert [code(answer) for answer in answers] == [(403, "PLATFORM_ONLY")] * 6


async def test_a_repetition_is_answered_with_the_same_key(platform: Platform) -> None:
    once = {"Idempotency-Key": "mint-1"}
    first, again = [await platform.root.post(KEYS, json={"name": "ci"}, headers=once) for _ in range(2)]
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert len((await listed(platform))["data"]) == 2


@pytest.mark.parametrize("cursor", ["x", "WyIxIiwiYiJd"])
async def test_a_cursor_of_another_list_is_refused(platform: Platform, cursor: str) -> None:
    assert code(await platform.root.get(KEYS, params={"cursor": cursor})) == (422, "INVALID_BODY")
