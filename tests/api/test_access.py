"""Who may operate, and what every answer has in common."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from gateway.registry.tenants import Tenants
from gateway.store.connect import Store
from gateway.tenancy.tenant import Tenant
from tests.api.samples import ADMIN_KEY, SECOND_KEY, Operator, admin_client
from tests.registry.samples import Registry, registry_over

CALLS = [
    ("POST", "provision/tenant"),
    ("POST", "update/tenant"),
    ("POST", "rotate/tenant-secret"),
    ("POST", "rotate/widget-key"),
    ("POST", "suspend/tenant"),
    ("POST", "reactivate/tenant"),
    ("POST", "archive/tenant"),
    ("GET", "fetch/tenant"),
    ("GET", "fetch/tenants"),
    ("GET", "fetch/audit"),
    ("GET", "verify/audit"),
]
WRONG_KEYS = [
    [],
    [("X-Admin-Key", "")],
    [("X-Admin-Key", "wrong")],
    [("X-Admin-Key", ADMIN_KEY[:-1])],
    [("X-Admin-Key", ADMIN_KEY + "x")],
    [("X-Admin-Key", ADMIN_KEY), ("X-Admin-Key", ADMIN_KEY)],
    [("X-Admin-Key", f"{ADMIN_KEY}, {SECOND_KEY}")],
    [("X_Admin_Key", ADMIN_KEY)],
    [("Authorization", f"Bearer {ADMIN_KEY}")],
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("headers", WRONG_KEYS)
async def test_no_call_answers_without_a_valid_key(
    registry: Registry, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    async with admin_client(registry) as http:
        answer = await http.request(method, f"/api/v1/{path}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "ADMIN_KEY_INVALID")
    assert answer.headers["www-authenticate"] == "X-Admin-Key"


async def test_every_named_key_operates_and_the_log_names_it(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tenantgate.operator")
    for name, key in (("ops", ADMIN_KEY), ("billing", SECOND_KEY)):
        async with admin_client(registry, {"X-Admin-Key": key}) as http:
            answer = await http.post("/api/v1/provision/tenant", json={"name": "Acme"})
        assert answer.status_code == 201
        record = caplog.records[-1]
        assert (record.message, record.__dict__["operator"]) == ("tenant.created", name)
        assert record.__dict__["request_id"] == answer.headers["x-request-id"]


async def test_every_answer_has_a_request_id_of_its_own_and_is_not_stored(operator: Operator) -> None:
    answers = [
        await operator.post("provision/tenant", {"name": "Acme"}),
        await operator.get("fetch/tenants"),
        await operator.get("fetch/tenant"),
        await operator.get("nothing"),
        await operator.http.get("/elsewhere"),
        await operator.http.get("/livez"),
        await operator.http.get("/api/v1/fetch/tenants", headers={"X-Admin-Key": "wrong"}),
    ]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    for answer in answers:
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            assert answer.json().keys() >= {"status_code", "data", "message", "code"}
            assert answer.json()["status_code"] == answer.status_code


async def test_an_unknown_path_is_not_found_and_a_wrong_method_is_told_the_right_one(operator: Operator) -> None:
    for path in ("/api/v1/nothing", "/api/v1/fetch/tenants/", "/api/v1", "/elsewhere"):
        answer = await operator.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")
    answer = await operator.get("suspend/tenant")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")


async def test_a_store_that_does_not_answer_is_an_outage() -> None:
    store = Store("unix:///nonexistent/tenantgate", prefix="t", deadline=1.0)
    async with admin_client(registry_over(store), {"X-Admin-Key": ADMIN_KEY}) as http:
        answer = await http.get("/api/v1/fetch/tenants")
        wrong = await http.get("/api/v1/fetch/tenants", headers={"X-Admin-Key": "wrong"})
    await store.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert wrong.status_code == 401


async def test_a_fault_of_ours_shows_in_the_log_only(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Tenants, limit: int, offset: int = 0, org: str | None = None) -> tuple[list[Tenant], int]:
        raise RuntimeError("canary")

    monkeypatch.setattr(Tenants, "page", broken)
    answer = await operator.get("fetch/tenants")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "canary" not in answer.text
    record = caplog.records[-1]
    assert record.exc_info is not None
    assert record.__dict__["request_id"] == answer.json()["request_id"]


async def test_a_secret_is_shown_once(operator: Operator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first = await operator.provision()
    query = {"tenant_id": first["tenant_id"]}
    second = (await operator.post("rotate/tenant-secret", **query)).json()["data"]["tenant_secret"]
    later = [
        await operator.post("update/tenant", {"agent_seats": 1}, **query),
        await operator.post("rotate/widget-key", **query),
        await operator.post("suspend/tenant", **query),
        await operator.post("reactivate/tenant", **query),
        await operator.get("fetch/tenant", **query),
        await operator.get("fetch/tenants"),
        await operator.post("archive/tenant", **query),
    ]
    assert {answer.status_code for answer in later} == {200}
    logged = json.dumps([vars(record) for record in caplog.records], default=repr)
    for secret in (first["tenant_secret"], second):
        assert all(secret not in answer.text for answer in later)
        assert secret not in logged
    assert ADMIN_KEY not in logged


CANARY = "sk_canary0123456789abcdefghijklmnopqrstuvwxyz"


async def misuses(operator: Operator) -> list[httpx.Response]:
    tenant_id = (await operator.provision())["tenant_id"]
    fields = ["name", "plan_tier", "rate_limit", "callback_url", "region", "agent_seats", "monthly_email_cap", "nmae", "status"]
    bodies: list[object] = [{field: CANARY + "\n"} for field in fields]
    bodies += [{"origins": [CANARY]}, {"feature_flags": CANARY}, {"branding_x": [CANARY]}, {"tenant_secret": CANARY}, [CANARY]]
    answers = [await operator.post("update/tenant", body, tenant_id=tenant_id) for body in bodies]
    malformed = f'{{"name": "{CANARY}", }}'.encode(), f'{{"a": "{CANARY}", "a": 1}}'.encode(), CANARY.encode()
    answers += [await operator.http.post("/api/v1/provision/tenant", content=content) for content in malformed]
    answers += [
        await operator.post("provision/tenant", {"name": "A", "slug": CANARY, "org": CANARY, "external_ref": f"/{CANARY}"}),
        await operator.get("fetch/tenant", tenant_id=CANARY),
        await operator.get("fetch/tenants", limit=CANARY, offset=CANARY),
        await operator.get(CANARY),
        await operator.http.get("/api/v1/fetch/tenants", headers={"X-Admin-Key": CANARY}),
    ]
    return answers


async def test_no_refusal_repeats_what_was_sent(operator: Operator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for answer in await misuses(operator):
        assert 400 <= answer.status_code < 500, answer.text
        assert CANARY not in answer.text
        assert CANARY not in str(answer.headers)
    tenantgate = [vars(record) for record in caplog.records if record.name != "httpx"]
    assert CANARY not in json.dumps(tenantgate, default=repr)
