"""The audit trail on the public listener: searched, checked, and taken elsewhere."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.registry.audit import Audit
from gateway.registry.audit_verify import verify_export
from gateway.store.connect import Store
from gateway.tenancy.tenant import Status
from tests.api.public import Platform
from tests.api.samples import Operator

AUDIT = "/api/v1/audit"


async def found(caller: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    answer = await caller.get(AUDIT, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def actions(body: dict[str, Any]) -> list[str]:
    return [entry["action"] for entry in body["data"]]


async def test_a_platform_reads_who_changed_what_the_newest_first(platform: Platform) -> None:
    made = await platform.root.post("/api/v1/tenants", json={"name": "Acme"})
    entry = (await found(platform.root))["data"][0]
    assert (entry["action"], entry["tenant"], entry["org"]) == ("tenant.created", made.json()["id"], "main")
    assert entry["actor"].startswith("key_")
    assert entry["request_id"] == made.headers["x-request-id"]


async def test_pages_meet_and_end(platform: Platform) -> None:
    for number in range(4):
        await platform.tenant(f"T {number}")
    seqs: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        body = await found(platform.root, limit="2", **cursor)
        seqs += [entry["seq"] for entry in body["data"]]
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert seqs == [5, 4, 3, 2, 1]
    assert (await platform.root.get(AUDIT, params={"cursor": "WyJhIl0"})).status_code == 422


async def test_it_is_searched_by_tenant_and_action(platform: Platform) -> None:
    first, second = await platform.tenant("A"), await platform.tenant("B")
    await platform.gateway.tenants.set_status(first.id, Status.SUSPENDED)
    assert actions(await found(platform.root, tenant_id=first.typeid)) == ["tenant.suspended", "tenant.created"]
    assert actions(await found(platform.root, tenant_id=str(second.id))) == ["tenant.created"]
    assert actions(await found(platform.root, action="key.created")) == ["key.created"]


async def test_it_is_searched_by_time(operator: Operator) -> None:
    for second in range(4):
        await operator.provision(name=f"t{second}")
        operator.registry.clock.time += 1

    async def seqs(**query: str) -> list[int]:
        answer = await operator.get("fetch/audit", **query)
        assert answer.status_code == 200, answer.text
        return [entry["seq"] for entry in answer.json()["data"]["entries"]]

    # The clock began at 20:26:40.
    assert await seqs(since="2026-05-28T20:26:41Z", until="2026-05-28T20:26:43Z") == [3, 2]
    assert await seqs(since="2026-05-28T22:26:42+02:00") == [4, 3]
    assert await seqs(until="2026-05-28T20:26:40.000001Z") == [1]
    assert await seqs(since="2026-05-28", until="2026-05-29") == [4, 3, 2, 1]
    assert await seqs(until="2026-05-28") == await seqs(since="2026-05-29") == []


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-05-28T20:26:41", "2026-02-30", "1", "20260528", "9999-12-31T23:00:00-05:00"]
)
async def test_what_is_no_time_is_told(platform: Platform, text: str) -> None:
    answer = await platform.root.get(AUDIT, params={"since": text})
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == ["since"]


async def test_a_trail_is_told_to_be_intact_until_somebody_alters_it(platform: Platform, store: Store) -> None:
    await platform.tenant()
    await platform.tenant("B")
    told = (await platform.root.get(f"{AUDIT}/verify")).json()
    assert (told["org"], told["intact"], told["last_seq"]) == ("main", True, 3)
    await store.control.command("XDEL", store.keys.audit("main"), "2-0")
    told = (await platform.root.get(f"{AUDIT}/verify")).json()
    assert (told["intact"], told["broken_seq"], told["fault"]) == (False, 2, "missing")


async def test_an_export_holds_the_whole_trail_and_can_be_checked_elsewhere(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("audit", "audit_verify"):
        monkeypatch.setattr(f"gateway.registry.{module}.CHUNK", 2)
    for number in range(6):
        await platform.tenant(f"Zoë {number}")
    answer = await platform.root.get(f"{AUDIT}/export")
    assert answer.headers["content-type"].startswith("application/jsonl")
    lines = answer.content.splitlines(keepends=True)
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    head = (await platform.root.get(f"{AUDIT}/verify")).json()["head"]
    verdict = verify_export(lines)
    assert (verdict.broken, verdict.first, verdict.last, verdict.head) == (None, 1, 7, head)
    await platform.tenant("Later")
    more = (await platform.root.get(f"{AUDIT}/export", params={"after": "7"})).content.splitlines(keepends=True)
    assert (len(more), verify_export(lines + more).last) == (1, 8)
    assert (await platform.root.get(f"{AUDIT}/export", params={"after": "8"})).content == b""


async def test_an_operators_export_is_the_same(operator: Operator) -> None:
    await operator.provision()
    lines = (await operator.get("export/audit", org="platform")).content.splitlines(keepends=True)
    assert (len(lines), verify_export(lines).broken) == (1, None)
    assert (await operator.get("export/audit", org="none")).status_code == 422


async def test_it_is_the_platforms_alone_and_of_its_own_organization(platform: Platform) -> None:
    tenant = await platform.tenant()
    async with await platform.caller(tenant.id) as bound, await platform.caller("other") as other:
        for path in (AUDIT, f"{AUDIT}/verify", f"{AUDIT}/export"):
            assert (await bound.get(path)).json()["code"] == "PLATFORM_ONLY"
        assert actions(await found(other)) == ["key.created"]
    async with await platform.caller("main", frozenset({"read:tenants"})) as reader:
        assert (await reader.get(AUDIT)).json()["code"] == "INSUFFICIENT_SCOPE"


async def test_what_can_not_be_read_at_all_is_refused_and_not_broken_off(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(audit: Audit, org: str) -> int:
        raise Refused(STORE_UNAVAILABLE)

    monkeypatch.setattr(Audit, "count", unanswered)
    answer = await platform.root.get(f"{AUDIT}/export")
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
