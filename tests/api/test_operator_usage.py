"""Use in the operator API: shown, told to who bills, and accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.store.keyspace import tenant_tag
from gateway.tenancy.ids import typeid
from tests.api.samples import Operator

MONTH = "2026-04"
NUMBER = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) // 86400


async def use(operator: Operator, tenant_id: str, units: int) -> None:
    store = operator.registry.store
    key = store.keys.usage(tenant_tag(UUID(tenant_id)), MONTH)
    for field in ("emails", f"emails {NUMBER}"):
        await store.data.command("HINCRBY", key, field, units)


async def told(operator: Operator, **fields: object) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    cursor: dict[str, object] = {}
    while True:
        answer = await operator.post("export/usage", {"period": MONTH, "sink": "stripe", **fields, **cursor})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        events += data["events"]
        if data["next_cursor"] is None:
            return events
        cursor = {"cursor": data["next_cursor"]}


def accepted(*events: dict[str, Any]) -> dict[str, object]:
    shown = [{name: event[name] for name in ("tenant_id", "metric", "day", "up_to")} for event in events]
    return {"sink": "stripe", "events": shown}


async def test_an_operator_reads_what_a_tenant_has_used(operator: Operator) -> None:
    tenant_id = (await operator.provision(monthly_email_cap=10))["tenant_id"]
    await use(operator, tenant_id, 4)
    data = (await operator.get("fetch/usage", tenant_id=tenant_id, period=MONTH, granularity="day")).json()["data"]
    assert (data["tenant_id"], data["metrics"]["emails"]) == (tenant_id, {"cap": 10, "used": 4, "remaining": 6})
    assert data["days"][0] == {"day": "2026-04-01", "metrics": {"requests": 0, "messages": 0, "emails": 4}}
    missing = await operator.get("fetch/usage", tenant_id="019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f")
    assert missing.status_code == 404


async def test_every_tenants_use_is_told_until_it_is_accepted(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.operator.usage._PAGE", 2)
    made = [await operator.provision(name=f"t{number}", stripe_customer_id=f"cus_{number}") for number in range(5)]
    for number, tenant in enumerate(made):
        await use(operator, tenant["tenant_id"], number + 1)
    events = await told(operator)
    assert [(event["stripe_customer_id"], event["units"], event["up_to"]) for event in events] == [
        (f"cus_{number}", number + 1, number + 1) for number in reversed(range(5))
    ]
    assert {event["tenant_id"] for event in events} == {typeid("tnt", UUID(one["tenant_id"])) for one in made}
    assert await told(operator) == events
    assert (await operator.post("accept/usage", accepted(*events[1:]))).json()["data"] == {"accepted": 4}
    assert await told(operator) == events[:1]


async def test_who_is_no_customer_is_left_out_where_that_is_asked_for(operator: Operator) -> None:
    await use(operator, (await operator.provision())["tenant_id"], 1)
    assert await told(operator, customers_only=True) == []
    assert len(await told(operator)) == 1
    assert await told(operator, org="other") == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("export/usage", {"sink": "stripe"}, "period"),
        ("export/usage", {"period": "2026-4", "sink": "stripe"}, "period"),
        ("export/usage", {"period": MONTH, "sink": "A b"}, "sink"),
        ("export/usage", {"period": MONTH, "sink": "stripe", "org": "none"}, "org"),
        ("export/usage", {"period": MONTH, "sink": "stripe", "cursor": "x"}, "cursor"),
        ("accept/usage", {"sink": "stripe", "events": []}, "events"),
    ],
)
async def test_what_is_wrong_is_told(operator: Operator, path: str, body: dict[str, object], field: str) -> None:
    answer = await operator.post(path, body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
