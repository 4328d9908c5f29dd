"""Wrong input: refused whole, told by field, and never repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.samples import Operator

JSON = {"Content-Type": "application/json"}


async def refused_update(operator: Operator, body: object) -> dict[str, str]:
    """The faults by field of an update with `body`, of which nothing may have been written."""
    tenant_id = (await operator.provision())["tenant_id"]
    before = await operator.fetch(tenant_id)
    answer = await operator.post("update/tenant", body, tenant_id=tenant_id)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")
    assert await operator.fetch(tenant_id) == before
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("slug", "provision/tenant"),
        ("external_ref", "provision/tenant"),
        ("org", "provision/tenant"),
        ("schema", "slug"),
        ("tenant_id", "?tenant_id="),
        ("status", "suspend/tenant"),
        ("tenant_secret", "rotate/tenant-secret"),
        ("widget_public_key", "rotate/widget-key"),
    ],
)
async def test_what_an_update_cant_change_names_the_call_that_can(operator: Operator, field: str, says: str) -> None:
    assert says in (await refused_update(operator, {field: "x", "agent_seats": 1}))[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", "x" * 201),
        ("name", "a\nb"),
        ("plan_tier", "gold"),
        ("plan_tier", None),
        ("rate_limit", "fast"),
        ("rate_limit", 5),
        ("rate_limit", "5/fortnight"),
        ("callback_url", "ftp://a.example/"),
        ("callback_url", "https://user:pw@a.example/"),
        ("callback_url", "https://"),
        ("callback_url", "https://a.example/" + "x" * 2048),
        ("callback_url", "javascript:alert(1)"),
        ("origins", "https://a.example"),
        ("origins", ["*"]),
        ("origins", ["null"]),
        ("origins", ["https://a.example/"]),
        ("origins", ["https://*.a.example"]),
        ("origins", ["https://u@a.example"]),
        ("origins", ["https://a.example:0"]),
        ("origins", ["https://a.example:65536"]),
        ("origins", ["https://[::1"]),
        ("origins", ["https://a..example"]),
        ("origins", ["ftp://a.example"]),
        ("origins", ["https://ä.example"]),
        ("origins", ["https://a.example\n"]),
        ("origins", ["https://a.example"] * 101),
        ("feature_flags", ["x"]),
        ("monthly_email_cap", -1),
        ("monthly_email_cap", 1.5),
        ("monthly_email_cap", "5"),
        ("monthly_email_cap", True),
        ("monthly_email_cap", 2**53),
        ("monthly_msg_quota", -1),
        ("agent_seats", -1),
        ("stripe_customer_id", "a b"),
        ("region", "EU West"),
        ("branding_x", 7),
        ("branding_x", "x" * 201),
        ("branding_", "x"),
        ("branding_X", "x"),
        ("monthly_fax_cap", 5),
        ("nmae", "x"),
    ],
)
async def test_a_wrong_value_is_told_by_its_field(operator: Operator, field: str, value: object) -> None:
    assert list(await refused_update(operator, {field: value, "stripe_customer_id": "cus_1"} | {field: value})) == [field]


async def test_a_wrong_feature_flag_is_told_by_its_path(operator: Operator) -> None:
    assert set(await refused_update(operator, {"feature_flags": {"analytics": 1, "Bad": True}})) == {
        "feature_flags.analytics",
        "feature_flags.Bad",
    }


async def test_an_unknown_plan_lists_those_there_are(operator: Operator) -> None:
    assert (await refused_update(operator, {"plan_tier": "gold"}))["plan_tier"] == "must be one of: free, pro"


async def test_two_names_of_one_cap_must_agree(operator: Operator) -> None:
    assert list(await refused_update(operator, {"monthly_msg_quota": 1, "monthly_message_cap": None})) == ["monthly_msg_quota"]
    data = await operator.provision(monthly_msg_quota=7, monthly_message_cap=7)
    assert (data["monthly_msg_quota"], data["monthly_message_cap"]) == (7, 7)


async def test_all_faults_are_told_at_once_and_their_number_is_bounded(operator: Operator) -> None:
    assert set(await refused_update(operator, {"agent_seats": -1, "nmae": "x", "slug": "y"})) == {"agent_seats", "nmae", "slug"}
    assert len(await refused_update(operator, {f"field_{number}": 1 for number in range(1000)})) == 20


async def test_branding_is_bounded_over_all_updates(operator: Operator) -> None:
    tenant_id = (await operator.provision(**{f"branding_{number}": "x" for number in range(50)}))["tenant_id"]
    answer = await operator.post("update/tenant", {"branding_50": "x"}, tenant_id=tenant_id)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "branding_*")
    swap = await operator.post("update/tenant", {"branding_50": "x", "branding_0": None}, tenant_id=tenant_id)
    assert swap.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "A", "slug": "Not A Slug"},
        {"name": "A", "slug": "pg-catalog"},
        {"name": "A", "slug": "public"},
        {"name": "A", "org": "nobody"},
        {"name": "A", "external_ref": "../x"},
        {"name": "A", "external_ref": ""},
        {"name": "A", "plan_tier": "gold"},
        {"name": "A", "tenant_id": "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"},
        {"name": "A", "status": "suspended"},
    ],
)
async def test_a_wrong_provisioning_makes_no_tenant(operator: Operator, body: object) -> None:
    answer = await operator.post("provision/tenant", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")
    assert (await operator.get("fetch/tenants")).json()["data"]["total"] == 0


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'name': 'A'}",
        b'{"name": "A", "name": "B"}',
        b'{"name": "A", "feature_flags": {"x": true, "x": false}}',
        b'{"name": NaN}',
        b'{"name": "A", "agent_seats": Infinity}',
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "A"}',
        b'{"name": "\\ud800"}',
        b'{"branding_\\ud800": "A"}',
        b'{"name": "A"} x',
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": "A", "agent_seats": ' + b"9" * 10_000 + b"}",
    ],
)
async def test_what_is_not_strict_json_is_malformed(operator: Operator, content: bytes) -> None:
    answer = await operator.http.post("/api/v1/provision/tenant", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert "JSON" in answer.json()["message"]


@pytest.mark.parametrize("content", [b"[]", b"null", b'"name"', b"1"])
async def test_a_body_that_is_no_object_is_refused(operator: Operator, content: bytes) -> None:
    answer = await operator.http.post("/api/v1/provision/tenant", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_BODY")


async def test_a_body_over_a_mebibyte_is_too_large(operator: Operator) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65536

    answer = await operator.http.post("/api/v1/provision/tenant", content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("query", ["", "tenant_id=", "tenant_id=acme", "tenant_id=tnt_x", "tenant_id={id}&tenant_id={id}"])
async def test_a_tenant_has_to_be_named_once_by_its_id(operator: Operator, query: str) -> None:
    tenant_id = (await operator.provision())["tenant_id"]
    answer = await operator.http.get(f"/api/v1/fetch/tenant?{query.format(id=tenant_id)}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "tenant_id")


async def test_an_unknown_parameter_is_refused_and_nothing_done(operator: Operator) -> None:
    first = await operator.provision()
    answer = await operator.post("rotate/tenant-secret", tenant_id=first["tenant_id"], grace_second="60")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "grace_second")


async def test_a_body_where_none_is_read_is_refused_and_nothing_done(operator: Operator) -> None:
    first = await operator.provision()
    answer = await operator.post("rotate/widget-key", {"grace_seconds": 60}, tenant_id=first["tenant_id"])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "grace_seconds")
    assert (await operator.fetch(first["tenant_id"]))["widget_public_key"] == first["widget_public_key"]
    empty = await operator.post("rotate/widget-key", {}, tenant_id=first["tenant_id"])
    assert empty.status_code == 200
