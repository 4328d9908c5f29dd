"""A tenant's states and caps, as a platform sets them."""

from __future__ import annotations

import pytest

from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.tenant import Status
from tests.api.public import SCOPES, Platform
from tests.api.samples import Operator
from tests.api.test_platform_tenants import TENANTS, code, created

UNSAFE: list[tuple[str, str, dict[str, object] | None]] = [
    ("PATCH", "", {"name": "X"}),
    ("DELETE", "", None),
    ("POST", "/suspend", {"reason": "x"}),
    ("POST", "/unsuspend", None),
    ("POST", "/acknowledge", None),
    ("PATCH", "/quota", {"monthly_email_cap": 1}),
]
each_unsafe = pytest.mark.parametrize(("method", "path", "body"), UNSAFE, ids=lambda part: str(part))


async def test_a_tenant_is_suspended_and_back(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    once = (await platform.root.post(f"{path}/suspend", json={"reason": "Non-payment"})).json()
    assert (once["status"], once["suspend_reason"]) == ("suspended", "Non-payment")
    assert (await platform.root.get(path)).json() == once
    again = (await platform.root.post(f"{path}/suspend")).json()
    assert (again["status"], again["suspend_reason"]) == ("suspended", None)
    lifted = (await platform.root.post(f"{path}/unsuspend")).json()
    assert (lifted["status"], lifted["suspend_reason"]) == ("active", None)
    assert code(await platform.root.post(f"{path}/unsuspend")) == (409, "TENANT_NOT_SUSPENDED")


async def test_archiving_is_final_and_the_tenant_stays_visible(platform: Platform) -> None:
    tenant = await created(platform, slug="acme", external_ref="cust_1")
    path = f"{TENANTS}/{tenant['id']}"
    gone = await platform.root.delete(path)
    assert (gone.status_code, gone.json()["status"]) == (200, "archived")
    assert (await platform.root.delete(path)).json() == gone.json()
    assert (await platform.root.get(path)).json() == gone.json()
    for method, below, body in UNSAFE:
        if method != "DELETE":
            answer = await platform.root.request(method, path + below, json=body)
            assert code(answer) == (409, "TENANT_ARCHIVED"), below
    assert code(await platform.root.post(TENANTS, json={"name": "X", "slug": "acme"})) == (409, "SLUG_TAKEN")
    again = await platform.root.post(TENANTS, json={"name": "X", "external_ref": "cust_1"})
    assert code(again) == (409, "EXTERNAL_REF_TAKEN")


async def test_caps_are_set_and_cleared(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}/quota"
    told = (await platform.root.patch(path, json={"monthly_email_cap": 5000, "monthly_sms_cap": 0})).json()
    assert (told["monthly_email_cap"], told["monthly_sms_cap"]) == (5000, 0)
    told = (await platform.root.patch(path, json={"monthly_email_cap": None})).json()
    assert (told["monthly_email_cap"], told["monthly_sms_cap"]) == (None, 0)


@pytest.mark.parametrize(
    "body", [{}, {"monthly_email_cap": -1}, {"monthly_email_cap": "5"}, {"monthly_fax_cap": 1}, {"name": "X"}]
)
async def test_what_is_no_cap_is_refused(platform: Platform, body: dict[str, object]) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}/quota"
    assert code(await platform.root.patch(path, json=body)) == (422, "INVALID_BODY")


async def test_caps_over_an_older_state_are_refused(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    seen = {"If-Match": (await platform.root.get(path)).headers["etag"]}
    assert (await platform.root.patch(f"{path}/quota", json={"monthly_email_cap": 1}, headers=seen)).status_code == 200
    answer = await platform.root.patch(f"{path}/quota", json={"monthly_email_cap": 2}, headers=seen)
    assert code(answer) == (412, "PRECONDITION_FAILED")


async def test_a_tenants_own_limits_are_changed_and_taken_away(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    own = {"rate_limit": "5/second", "features": {"analytics": True}, "region": "eu"}
    told = (await platform.root.patch(path, json=own)).json()
    assert {name: told[name] for name in own} == own
    told = (await platform.root.patch(path, json={"rate_limit": None, "features": None, "region": None})).json()
    assert (told["rate_limit"], told["features"], told["region"]) == (None, {}, None)


async def test_a_tenant_becomes_read_only_and_stays_so_over_a_suspension(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    assert (await platform.root.patch(path, json={"read_only": True})).json()["status"] == "read_only"
    await platform.root.post(f"{path}/suspend")
    assert (await platform.root.post(f"{path}/unsuspend")).json()["status"] == "read_only"
    assert (await platform.root.patch(path, json={"read_only": False})).json()["status"] == "active"
    assert code(await platform.root.patch(path, json={"read_only": "true"})) == (422, "INVALID_BODY")


async def test_what_only_other_calls_change_is_refused(platform: Platform) -> None:
    path = f"{TENANTS}/{(await created(platform))['id']}"
    for body in ({"status": "archived"}, {"slug": "x"}, {"external_ref": "x"}, {"monthly_email_cap": 1}):
        assert code(await platform.root.patch(path, json=body)) == (422, "INVALID_BODY")


async def test_a_tenant_with_a_handshake_is_served_once_it_is_acknowledged(platform: Platform) -> None:
    tenant = await platform.tenant("New", handshake=True)
    path = f"{TENANTS}/{tenant.typeid}"
    async with await platform.caller(tenant.id) as bound:
        answer = await bound.get(path)
        assert code(answer) == (503, "TENANT_PROVISIONING")
        assert int(answer.headers["retry-after"]) > 0
        assert code(await platform.root.patch(path, json={"read_only": True})) == (409, "TENANT_PROVISIONING")
        assert (await platform.root.post(f"{path}/acknowledge")).json()["status"] == "active"
        assert (await bound.get(path)).status_code == 200
    assert code(await platform.root.post(f"{path}/acknowledge")) == (409, "TENANT_NOT_PROVISIONING")


@each_unsafe
async def test_a_tenants_own_key_changes_no_tenant(platform: Platform, method: str, path: str, body: object) -> None:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    async with await platform.caller(own.id) as bound:
        before = await platform.gateway.tenants.get(own.id)
        for one in (own.typeid, sibling.typeid, typeid("tnt", new_id())):
            answer = await bound.request(method, f"{TENANTS}/{one}{path}", json=body)
            assert code(answer) == (403, "TENANT_KEY_FORBIDDEN")
    assert (await platform.gateway.tenants.get(own.id)) == before


@each_unsafe
async def test_tenants_of_other_organizations_do_not_exist(platform: Platform, method: str, path: str, body: object) -> None:
    foreign = await platform.tenant("Foreign", org="other", handshake=path == "/acknowledge")
    for one in (foreign.typeid, typeid("tnt", new_id())):
        answer = await platform.root.request(method, f"{TENANTS}/{one}{path}", json=body)
        assert code(answer) == (404, "NOT_FOUND")
    assert (await platform.gateway.tenants.get(foreign.id)) == foreign


@each_unsafe
async def test_changing_needs_its_scope(platform: Platform, method: str, path: str, body: object) -> None:
    tenant = await platform.tenant()
    async with await platform.caller("main", SCOPES - {"write:tenants"}) as reader:
        answer = await reader.request(method, f"{TENANTS}/{tenant.typeid}{path}", json=body)
        assert code(answer) == (403, "INSUFFICIENT_SCOPE")


async def test_an_operator_asks_for_the_handshake_and_acknowledges(operator: Operator) -> None:
    tenant = await operator.provision(handshake=True)
    assert tenant["status"] == Status.PROVISIONING
    named = {"tenant_id": tenant["tenant_id"]}
    refused = await operator.post("update/tenant", {"read_only": True}, **named)
    assert (refused.status_code, refused.json()["code"]) == (409, "TENANT_PROVISIONING")
    assert (await operator.post("acknowledge/tenant", **named)).json()["data"]["status"] == "active"
    again = await operator.post("acknowledge/tenant", **named)
    assert (again.status_code, again.json()["code"]) == (409, "TENANT_NOT_PROVISIONING")
    assert (await operator.post("update/tenant", {"read_only": True}, **named)).json()["data"]["status"] == "read_only"
