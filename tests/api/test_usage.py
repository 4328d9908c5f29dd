"""What tenants have used, as a platform and as they themselves read it."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import httpx
import pytest

from gateway.api.accept import prefers
from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.tenancy.period import period_of
from gateway.tenancy.tenant import Tenant
from tests.api.public import Platform

USAGE, MONTH = "/api/v1/usage", "2026-04"
APRIL = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) // 86400
CSV = {"Accept": "text/csv"}


async def use(store: Store, tenant: Tenant, period: str = MONTH, **units: int) -> None:
    for metric, count in units.items():
        for tag in (tenant_tag(tenant.id), org_tag(tenant.org)):
            await store.data.command("HINCRBY", store.keys.usage(tag, period), metric, count)


async def shown(caller: httpx.AsyncClient, path: str, **query: object) -> dict[str, Any]:
    answer = await caller.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def of(tenant: Tenant) -> str:
    return f"/api/v1/tenants/{tenant.typeid}/usage"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_platform_reads_what_a_tenant_has_used_in_a_month(platform: Platform, store: Store) -> None:
    tenant = await platform.tenant()
    path = f"/api/v1/tenants/{tenant.typeid}"
    await platform.gateway.tenants.change(tenant.id, lambda old: _capped(old, emails=10))
    await use(store, tenant, emails=12, requests=3)
    body = await shown(platform.root, of(tenant), period=MONTH)
    assert (body["tenant_id"], body["period"]) == (tenant.typeid, MONTH)
    assert body["metrics"]["emails"] == {"cap": 10, "used": 12, "remaining": 0}
    assert body["metrics"]["requests"] == {"cap": None, "used": 3, "remaining": None}
    assert body.keys() == {"tenant_id", "period", "metrics"}
    assert (await shown(platform.root, path))["monthly_email_cap"] == 10
    assert (await shown(platform.root, of(tenant), period="2026-03"))["metrics"]["emails"]["used"] == 0


def _capped(tenant: Tenant, **caps: int) -> Tenant:
    return replace(tenant, caps=caps)


async def test_without_a_period_it_is_the_present_one(platform: Platform, store: Store) -> None:
    tenant = await platform.tenant()
    present = period_of(datetime.now(UTC).timestamp())
    await use(store, tenant, present, emails=2)
    body = await shown(platform.root, of(tenant), granularity="day")
    assert (body["period"], body["metrics"]["emails"]["used"]) == (present, 2)
    assert body["days"][-1]["day"] == datetime.now(UTC).date().isoformat()


async def test_each_keys_share_is_told_apart(platform: Platform, store: Store) -> None:
    tenant = await platform.tenant()
    key = store.keys.credential_usage(tenant_tag(tenant.id), MONTH)
    await store.data.command("HSET", key, "emails key_b", 3, "sms key_b", 1, "emails key_a", 4)
    keys = (await shown(platform.root, of(tenant), period=MONTH, group_by="key"))["keys"]
    assert [(one["key_id"], one["metrics"]["emails"], one["metrics"]["sms"]) for one in keys] == [
        ("key_a", 4, 0),
        ("key_b", 3, 1),
    ]


async def test_the_days_are_those_of_the_month_and_what_came_late_is_the_last_ones(platform: Platform, store: Store) -> None:
    tenant = await platform.tenant()
    await use(store, tenant, emails=9)
    days = {f"emails {APRIL}": 2, f"emails {APRIL + 29}": 3, f"emails {APRIL + 30}": 3, f"emails {APRIL - 1}": 1}
    for field, units in days.items():
        await store.data.command("HSET", store.keys.usage(tenant_tag(tenant.id), MONTH), field, units)
    body = await shown(platform.root, of(tenant), period=MONTH, granularity="day")
    assert body["metrics"]["emails"]["used"] == 9
    used = {one["day"]: one["metrics"]["emails"] for one in body["days"]}
    assert (len(used), used["2026-04-01"], used["2026-04-02"], used["2026-04-30"]) == (30, 3, 0, 6)
    assert (await shown(platform.root, of(tenant), period="2098-01", granularity="day"))["days"] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *[({"period": text}, "period") for text in ("2026-13", "2026-4", "0000-01", "2026-04-01", "", "२०२६-०४")],
        ({"group_by": "day"}, "group_by"),
        ({"granularity": "hour"}, "granularity"),
        ({"since": "2026-04"}, "since"),
    ],
)
async def test_a_wrong_parameter_is_told(platform: Platform, query: dict[str, str], parameter: str) -> None:
    tenant = await platform.tenant()
    answer = await platform.root.get(of(tenant), params=query)
    assert refusal(answer) == (422, "INVALID_BODY")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_a_bound_key_reads_its_own_tenants_use_only(platform: Platform, store: Store) -> None:
    own, sibling = await platform.tenant("Own"), await platform.tenant("Sibling")
    await use(store, own, emails=1)
    async with await platform.caller(own.id) as bound:
        assert (await shown(bound, of(own), period=MONTH))["metrics"]["emails"]["used"] == 1
        assert refusal(await bound.get(of(sibling))) == (404, "NOT_FOUND")
        assert refusal(await bound.get(USAGE)) == (403, "PLATFORM_ONLY")
    foreign = await platform.tenant("Foreign", org="other")
    assert refusal(await platform.root.get(of(foreign))) == (404, "NOT_FOUND")
    async with await platform.caller("main", frozenset({"read:tenants"})) as reader:
        assert refusal(await reader.get(of(own))) == (403, "INSUFFICIENT_SCOPE")
        assert refusal(await reader.get(USAGE)) == (403, "INSUFFICIENT_SCOPE")


async def test_the_roll_up_has_every_tenant_and_the_whole_organization(platform: Platform, store: Store) -> None:
    tenants = [await platform.tenant(f"T {number}", external_ref=f"ref-{number}") for number in range(5)]
    for number, tenant in enumerate(tenants):
        await use(store, tenant, emails=number)
    await use(store, await platform.tenant("Foreign", org="other"), emails=100)
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        body = await shown(platform.root, USAGE, period=MONTH, limit=2, **cursor)
        assert body["org"]["id"] == "main"
        assert body["org"]["metrics"]["emails"] == {"cap": None, "used": 10, "remaining": None}
        rows += body["data"]
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert [(row["tenant_id"], row["external_ref"], row["metrics"]["emails"]["used"]) for row in rows] == [
        (tenant.typeid, f"ref-{number}", number) for number, tenant in reversed(list(enumerate(tenants)))
    ]


async def test_the_platforms_own_keys_are_told_apart_over_all_tenants(platform: Platform, store: Store) -> None:
    key = store.keys.credential_usage(org_tag("main"), MONTH)
    await store.data.command("HSET", key, "emails key_b", 3)
    assert "keys" not in (await shown(platform.root, USAGE, period=MONTH))["org"]
    (told,) = (await shown(platform.root, USAGE, period=MONTH, group_by="key"))["org"]["keys"]
    assert (told["key_id"], told["metrics"]["emails"]) == ("key_b", 3)


async def test_as_csv_all_tenants_come_in_one_table(platform: Platform, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.usage_table._AT_ONCE", 2)
    tenants = [await platform.tenant(f"T {number}") for number in range(5)]
    for number, tenant in enumerate(tenants):
        await use(store, tenant, emails=number)
    await platform.gateway.tenants.change(tenants[0].id, lambda old: _capped(old, emails=7))
    answer = await platform.root.get(USAGE, params={"period": MONTH}, headers=CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="usage-{MONTH}.csv"'
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [(row["tenant_id"], row["emails_used"]) for row in rows] == [
        (tenant.typeid, str(number)) for number, tenant in reversed(list(enumerate(tenants)))
    ]
    assert [row["emails_cap"] for row in rows] == ["", "", "", "", "7"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
async def test_no_name_becomes_a_formula_of_a_spreadsheet(platform: Platform, name: str) -> None:
    await platform.tenant(f'{name},"x"')
    answer = await platform.root.get(USAGE, headers=CSV)
    (row,) = csv.DictReader(StringIO(answer.text))
    assert row["name"] == f'\'{name},"x"'


@pytest.mark.parametrize(
    ("accept", "csv"),
    [
        (None, False),
        ("*/*", False),
        ("text/csv", True),
        ("TEXT/CSV; header=present", True),
        ("text/csv;q=0", False),
        ("text/csv;q=x", False),
        ("application/json, text/csv", False),
        ("application/json;q=0.5, text/csv", True),
        ("text/html, text/csv;q=0.1, */*;q=0.01", True),
    ],
)
def test_csv_is_what_asks_for_it(accept: str | None, csv: bool) -> None:
    assert prefers(accept, "text/csv") == csv
