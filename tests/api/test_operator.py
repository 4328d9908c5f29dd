"""The life of a tenant through the operator API."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import pytest

from gateway.pipeline.lookup import OwnerOfWidgetKey, TenantById
from gateway.tenancy.ids import typeid
from gateway.tenancy.tenant import Tenant
from tests.api.samples import Operator

UNKNOWN = "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"
WRITES = ("update/tenant", "rotate/tenant-secret", "rotate/widget-key", "suspend/tenant", "reactivate/tenant")


async def stored(operator: Operator, tenant_id: str) -> Tenant:
    record = await operator.registry.records.resolve(TenantById(UUID(tenant_id)))
    assert isinstance(record, Tenant)
    return record


async def test_provisioning_answers_with_both_credentials_and_the_tenant(operator: Operator) -> None:
    answer = await operator.post("provision/tenant", {"name": "Acme Corp", "plan_tier": "pro"})
    body = answer.json()
    assert (answer.status_code, body["status_code"]) == (201, 201)
    data = body["data"]
    assert str(UUID(data["tenant_id"])) == data["tenant_id"]
    assert data["tenant_secret"].startswith("sk_")
    assert data["widget_public_key"].startswith("pk_")
    assert (data["slug"], data["plan_tier"], data["status"], data["org"]) == ("acme-corp", "pro", "active", "platform")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["created_at"])


async def test_a_tenant_without_plan_and_org_gets_the_defaults(operator: Operator) -> None:
    data = await operator.provision()
    assert (data["org"], data["plan_tier"]) == ("platform", "free")
    assert (await operator.provision(org="other"))["org"] == "other"


async def test_every_field_can_be_given_on_provisioning(operator: Operator) -> None:
    fields = {
        "slug": "acme",
        "external_ref": "cust_1",
        "plan_tier": "pro",
        "rate_limit": "7/minute",
        "callback_url": "https://acme.example/hook?x=1",
        "branding_primary_color": "#0055FF",
        "branding_name": "Açme",
        "origins": ["https://app.acme.example", "http://localhost:3000"],
        "feature_flags": {"analytics": False},
        "monthly_request_cap": 10,
        "monthly_message_cap": 20,
        "monthly_email_cap": None,
        "agent_seats": 3,
        "stripe_customer_id": "cus_9",
        "region": "eu",
    }
    data = await operator.provision(**fields)
    fetched = await operator.fetch(data["tenant_id"])
    assert {name: fetched[name] for name in fields} == fields
    assert fetched["monthly_msg_quota"] == 20


async def test_the_documented_update_writes_what_it_says(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    body = {"plan_tier": "pro", "monthly_msg_quota": 50000, "agent_seats": 25, "branding_primary_color": "#0055FF"}
    answer = await operator.post("update/tenant", body, tenant_id=tenant_id)
    assert (answer.status_code, answer.json()["status_code"]) == (200, 200)
    fetched = await operator.fetch(tenant_id)
    assert {name: fetched[name] for name in body} == body
    assert fetched["monthly_message_cap"] == 50000


async def test_an_update_leaves_what_it_does_not_name(operator: Operator) -> None:
    given = {"branding_a": "1", "feature_flags": {"x": True}, "agent_seats": 4, "monthly_request_cap": 9}
    before = await operator.provision(rate_limit="7/minute", **given)
    tenant_id = before["tenant_id"]
    await operator.post("update/tenant", {"branding_b": "2"}, tenant_id=tenant_id)
    await operator.post("update/tenant", {"monthly_email_cap": 0}, tenant_id=tenant_id)
    after = await operator.fetch(tenant_id)
    del before["tenant_secret"], before["updated_at"], after["updated_at"]
    assert after == {**before, "branding_b": "2", "monthly_email_cap": 0}


async def test_null_takes_the_tenants_own_value_away(operator: Operator) -> None:
    given = {
        "rate_limit": "7/minute",
        "callback_url": "https://a.example/",
        "branding_a": "1",
        "origins": ["https://a.example"],
        "feature_flags": {"x": True},
        "agent_seats": 1,
        "stripe_customer_id": "cus_1",
        "region": "eu",
        "monthly_email_cap": 5,
    }
    tenant_id = (await operator.provision(**given))["tenant_id"]
    answer = await operator.post("update/tenant", dict.fromkeys(given), tenant_id=tenant_id)
    data = answer.json()["data"]
    assert "branding_a" not in data
    assert [data.get(name) for name in given] == [None, None, None, [], {}, None, None, None, None]
    assert (await stored(operator, tenant_id)).caps == {"emails": None}


async def test_a_cap_of_null_lifts_the_plans_and_zero_blocks(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    assert (await operator.fetch(tenant_id))["monthly_message_cap"] == 100
    await operator.post("update/tenant", {"monthly_msg_quota": None}, tenant_id=tenant_id)
    assert (await operator.fetch(tenant_id))["monthly_message_cap"] is None
    await operator.post("update/tenant", {"monthly_message_cap": 0}, tenant_id=tenant_id)
    assert (await stored(operator, tenant_id)).caps == {"messages": 0}


async def test_origins_are_stored_as_browsers_send_them(operator: Operator) -> None:
    data = await operator.provision(origins=["HTTPS://App.Example:443", "https://app.example", "http://[::0001]:80"])
    assert data["origins"] == ["https://app.example", "http://[::1]"]


async def test_both_forms_of_a_tenant_id_are_accepted_and_the_plain_one_answered(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answer = await operator.get("fetch/tenant", tenant_id=typeid("tnt", UUID(tenant_id)))
    assert answer.json()["data"]["tenant_id"] == tenant_id


async def test_rotating_the_secret_ends_the_old_one_at_once(operator: Operator) -> None:
    first = await operator.provision()
    answer = await operator.post("rotate/tenant-secret", tenant_id=first["tenant_id"])
    body = answer.json()
    assert body["message"] == "Secret rotated. Save the new tenant_secret — old secret is now invalid."
    assert set(body["data"]) == {"tenant_id", "tenant_secret", "rotated_at"}
    secrets = (await stored(operator, first["tenant_id"])).secrets
    assert [secret.value.decode() for secret in secrets] == [body["data"]["tenant_secret"]]
    assert body["data"]["tenant_secret"] != first["tenant_secret"]


async def test_rotating_the_widget_key_ends_the_old_one_at_once(operator: Operator) -> None:
    first = await operator.provision()
    answer = await operator.post("rotate/widget-key", tenant_id=first["tenant_id"])
    body = answer.json()
    assert body["message"] == (
        "Widget public key rotated. Update <script data-public-key=...> on every tenant page; "
        "old key stops working immediately."
    )
    assert set(body["data"]) == {"tenant_id", "widget_public_key", "rotated_at"}
    new = body["data"]["widget_public_key"]
    assert (await operator.fetch(first["tenant_id"]))["widget_public_key"] == new
    assert [key.value for key in (await stored(operator, first["tenant_id"])).widget_keys] == [new]
    assert await operator.registry.records.resolve(OwnerOfWidgetKey(new)) is not None


@pytest.mark.parametrize("path", ["rotate/tenant-secret", "rotate/widget-key"])
async def test_a_grace_keeps_the_old_credential_and_the_message_says_until_when(operator: Operator, path: str) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    body = (await operator.post(path, tenant_id=tenant_id, grace_seconds="3600")).json()
    until = operator.registry.clock.now() + 3600
    tenant = await stored(operator, tenant_id)
    held = tenant.secrets if path == "rotate/tenant-secret" else tenant.widget_keys
    assert [credential.not_after for credential in held] == [None, until]
    assert "valid until 2026-05-28T21:26:40Z" in body["message"]
    assert "immediately" not in body["message"]


@pytest.mark.parametrize("grace", ["-1", "86401", "1.5", "+1", "1_0", "", "x"])
async def test_a_grace_out_of_bounds_rotates_nothing(operator: Operator, grace: str) -> None:
    first = await operator.provision()
    answer = await operator.post("rotate/tenant-secret", tenant_id=first["tenant_id"], grace_seconds=grace)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "grace_seconds")
    (secret,) = (await stored(operator, first["tenant_id"])).secrets
    assert secret.value.decode() == first["tenant_secret"]


async def test_suspending_and_reactivating(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    suspended = await operator.post("suspend/tenant", {"reason": "non-payment"}, tenant_id=tenant_id)
    assert (suspended.status_code, suspended.json()["data"]["status"]) == (200, "suspended")
    assert (await operator.fetch(tenant_id))["suspend_reason"] == "non-payment"
    reactivated = await operator.post("reactivate/tenant", tenant_id=tenant_id)
    assert reactivated.status_code == 200
    fetched = await operator.fetch(tenant_id)
    assert (fetched["status"], fetched["suspend_reason"]) == ("active", None)


async def test_the_reason_of_a_suspension_may_stand_in_the_query(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answer = await operator.post("suspend/tenant", tenant_id=tenant_id, reason="abuse")
    assert answer.json()["data"]["suspend_reason"] == "abuse"
    both = await operator.post("suspend/tenant", {"reason": "other"}, tenant_id=tenant_id, reason="abuse")
    assert both.status_code == 422


async def test_suspending_a_suspended_tenant_succeeds(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    for _ in range(2):
        answer = await operator.post("suspend/tenant", {"reason": "abuse"}, tenant_id=tenant_id)
        assert answer.status_code == 200
        assert answer.json()["data"]["suspend_reason"] == "abuse"


async def test_a_tenant_that_is_not_suspended_cant_be_reactivated(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answer = await operator.post("reactivate/tenant", tenant_id=tenant_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "TENANT_NOT_SUSPENDED")


@pytest.mark.parametrize("path", WRITES)
async def test_nothing_changes_an_archived_tenant(operator: Operator, path: str) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    archived = await operator.post("archive/tenant", tenant_id=tenant_id)
    assert (archived.status_code, archived.json()["data"]["status"]) == (200, "archived")
    before = await stored(operator, tenant_id)
    answer = await operator.post(path, {"name": "x"} if path == "update/tenant" else None, tenant_id=tenant_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "TENANT_ARCHIVED")
    assert await stored(operator, tenant_id) == before
    assert (await operator.fetch(tenant_id))["status"] == "archived"


@pytest.mark.parametrize("path", [*WRITES, "archive/tenant"])
async def test_an_unknown_tenant_is_not_found(operator: Operator, path: str) -> None:
    body = {"name": "x"} if path == "update/tenant" else None
    answer = await operator.post(path, body, tenant_id=UNKNOWN)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert (await operator.get("fetch/tenant", tenant_id=UNKNOWN)).status_code == 404


async def test_a_taken_slug_or_reference_is_a_conflict(operator: Operator) -> None:
    await operator.provision(slug="acme", external_ref="cust_1")
    slug = await operator.post("provision/tenant", {"name": "B", "slug": "acme"})
    assert (slug.status_code, slug.json()["code"]) == (409, "SLUG_TAKEN")
    ref = await operator.post("provision/tenant", {"name": "B", "external_ref": "cust_1"})
    assert (ref.status_code, ref.json()["code"]) == (409, "EXTERNAL_REF_TAKEN")


async def test_pages_follow_one_another_and_tell_the_total(operator: Operator) -> None:
    made = set()
    for number in range(5):
        made.add((await operator.provision(name=f"Tenant {number}"))["tenant_id"])
    pages = [(await operator.get("fetch/tenants", limit="2", offset=str(offset))).json()["data"] for offset in (0, 2, 4)]
    assert [page["total"] for page in pages] == [5, 5, 5]
    assert [len(page["tenants"]) for page in pages] == [2, 2, 1]
    assert {tenant["tenant_id"] for page in pages for tenant in page["tenants"]} == made
    everything = (await operator.get("fetch/tenants")).json()["data"]
    assert (everything["limit"], everything["offset"], len(everything["tenants"])) == (100, 0, 5)


@pytest.mark.parametrize(("limit", "status"), [("0", 422), ("1", 200), ("500", 200), ("501", 422), ("ten", 422)])
async def test_the_limit_of_a_page_is_bounded(operator: Operator, limit: str, status: int) -> None:
    assert (await operator.get("fetch/tenants", limit=limit)).status_code == status


async def test_a_negative_offset_is_refused(operator: Operator) -> None:
    assert (await operator.get("fetch/tenants", offset="-1")).status_code == 422
    assert (await operator.get("fetch/tenants", offset="1000000")).json()["data"]["tenants"] == []


async def test_fifty_updates_at_once_lose_nothing(operator: Operator) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answers = await asyncio.gather(
        *(operator.post("update/tenant", {f"branding_{number}": str(number)}, tenant_id=tenant_id) for number in range(50))
    )
    assert [answer.status_code for answer in answers] == [200] * 50
    fetched = await operator.fetch(tenant_id)
    assert [fetched[f"branding_{number}"] for number in range(50)] == [str(number) for number in range(50)]
