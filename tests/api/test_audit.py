"""The audit calls of the operator API, and what a caller is told when a change is not known to be kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.store.connect import Store
from gateway.store.durable import Durable
from gateway.tenancy.ids import typeid
from tests.api.samples import ADMIN_KEY, SECOND_KEY, Operator, admin_client
from tests.registry.samples import Registry, registry_over
from tests.store.server import OwnServer


async def fetched(operator: Operator, **query: str) -> dict[str, Any]:
    answer = await operator.get("fetch/audit", **query)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_an_entry_names_the_operator_and_the_request(registry: Registry) -> None:
    async with admin_client(registry, {"X-Admin-Key": SECOND_KEY}) as http:
        made = await http.post("/api/v1/provision/tenant", json={"name": "Acme"})
        answer = await http.get("/api/v1/fetch/audit")
    (entry,) = answer.json()["data"]["entries"]
    assert (entry["actor"], entry["request_id"]) == ("billing", made.headers["x-request-id"])
    assert (entry["seq"], entry["prev"], len(entry["hash"])) == (1, "", 64)


async def test_the_newest_entries_come_first_in_pages_that_meet(operator: Operator) -> None:
    for number in range(7):
        await operator.provision(name=f"t{number}")
    found, before = [], {}
    for _ in range(4):
        page = await fetched(operator, limit="2", **before)
        found += [entry["seq"] for entry in page["entries"]]
        if page["next_before"] is None:
            break
        before = {"before": str(page["next_before"])}
    assert found == [7, 6, 5, 4, 3, 2, 1]
    assert page["next_before"] is None


async def test_the_search_by_tenant_and_action_finds_those_and_no_others(operator: Operator) -> None:
    first, second = [(await operator.provision(name=name))["tenant_id"] for name in ("a", "b")]
    for one in (first, second):
        await operator.post("suspend/tenant", tenant_id=one)
        await operator.post("reactivate/tenant", tenant_id=one)
    for form in (first, typeid("tnt", UUID(first))):
        entries = (await fetched(operator, tenant_id=form))["entries"]
        assert [entry["action"] for entry in entries] == ["tenant.unsuspended", "tenant.suspended", "tenant.created"]
        assert {entry["tenant"] for entry in entries} == {typeid("tnt", UUID(first))}
    assert [entry["seq"] for entry in (await fetched(operator, action="tenant.suspended"))["entries"]] == [5, 3]
    (one,) = (await fetched(operator, action="tenant.suspended", tenant_id=second, limit="1"))["entries"]
    assert one["seq"] == 5
    assert (await fetched(operator, org="other"))["entries"] == []


async def test_a_search_that_finds_little_stops_and_says_where_to_go_on(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await operator.provision(name=f"t{number}")
    monkeypatch.setattr("gateway.registry.audit.CHUNK", 2)
    monkeypatch.setattr("gateway.registry.audit._SEARCHED", 4)
    page = await fetched(operator, action="tenant.archived")
    assert page == {"entries": [], "next_before": 3}
    assert (await fetched(operator, action="tenant.archived", before="3"))["next_before"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"before": "0"}, "before"),
        ({"before": "x"}, "before"),
        ({"org": "none"}, "org"),
        ({"action": "tenant.loved"}, "action"),
        ({"tenant_id": "acme"}, "tenant_id"),
        ({"offset": "1"}, "offset"),
    ],
)
async def test_a_wrong_parameter_is_told(operator: Operator, query: dict[str, str], field: str) -> None:
    answer = await operator.get("fetch/audit", **query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_trail_is_told_to_be_intact_until_somebody_alters_it(operator: Operator, store: Store) -> None:
    for name in ("a", "b"):
        await operator.provision(name=name)
    told = (await operator.get("verify/audit", org="platform")).json()["data"]
    head = (await fetched(operator, limit="1"))["entries"][0]["hash"]
    assert told == {
        "org": "platform",
        "intact": True,
        "first_seq": 1,
        "last_seq": 2,
        "head": head,
        "broken_seq": None,
        "fault": None,
    }
    await store.control.command("XDEL", store.keys.audit("platform"), "1-0")
    told = (await operator.get("verify/audit")).json()["data"]
    assert (told["intact"], told["broken_seq"], told["fault"]) == (False, 1, "missing")
    assert (await operator.get("verify/audit", org="none")).status_code == 422


async def test_no_secret_stands_in_an_entry(operator: Operator) -> None:
    made = await operator.provision(callback_url="https://a.example/hook?token=canary-0123456789")
    secrets = [made["tenant_secret"], "canary-0123456789", ADMIN_KEY]
    for _ in range(4):
        rotated = await operator.post("rotate/tenant-secret", tenant_id=made["tenant_id"], grace_seconds="60")
        secrets.append(rotated.json()["data"]["tenant_secret"])
        await operator.post("rotate/widget-key", tenant_id=made["tenant_id"])
    for owner in ("platform", UUID(made["tenant_id"])):
        for _ in range(7):
            minted = await operator.registry.keys.mint(owner, "k", frozenset(), created_by="ops")
            secrets += [minted.text, minted.key.digest]
    assert len(secrets) > 20
    page = await fetched(operator)
    assert len(page["entries"]) == 1 + 4 * 2 + 2 * 7
    for secret in secrets:
        assert secret.removeprefix("sk_") not in json.dumps(page)


# Over a store that keeps what it is told


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnServer]:
    with OwnServer(tmp_path) as server:
        yield server


async def test_a_change_that_has_answered_is_there_with_its_entry_after_the_store_was_killed(server: OwnServer) -> None:
    store = Store(server.url, prefix="t", deadline=5.0)
    async with admin_client(registry_over(store), {"X-Admin-Key": ADMIN_KEY}) as http:
        made = await Operator(http, registry_over(store)).provision()
    server.kill()
    await store.close()
    server.start()
    again = Store(server.url, prefix="t", deadline=5.0)
    async with admin_client(registry_over(again), {"X-Admin-Key": ADMIN_KEY}) as http:
        operator = Operator(http, registry_over(again))
        assert (await operator.fetch(made["tenant_id"]))["name"] == "Acme"
        assert [entry["action"] for entry in (await fetched(operator))["entries"]] == ["tenant.created"]
        assert (await operator.get("verify/audit")).json()["data"]["intact"]
    await again.close()


async def test_a_change_that_is_not_known_to_be_on_disk_is_503_and_in_force(registry: Registry, tmp_path: Path) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hole = await asyncio.start_unix_server(swallow, tmp_path / "hole")
    store = registry.shelf.store
    async with admin_client(registry, {"X-Admin-Key": ADMIN_KEY}) as http:
        operator = Operator(http, registry)
        tenant_id = (await operator.provision())["tenant_id"]
        kept, store.durable = store.durable, Durable(f"unix://{tmp_path}/hole", "k", deadline=0.2)
        answer = await operator.post("suspend/tenant", tenant_id=tenant_id)
        await store.durable.close()
        store.durable = kept
        assert (answer.status_code, answer.json()["code"]) == (503, "WRITE_NOT_DURABLE")
        assert answer.json()["message"].startswith("The change is in force")
        assert (await operator.fetch(tenant_id))["status"] == "suspended"
        assert [entry["action"] for entry in (await fetched(operator))["entries"]] == ["tenant.suspended", "tenant.created"]
    hole.close()
