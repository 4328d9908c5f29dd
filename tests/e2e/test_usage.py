"""What requests have used, read back behind the real protocol, and the streams of what all have."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

import pytest

from gateway.registry.audit_verify import verify_export
from gateway.tenancy.ids import typeid

from .conftest import World


@pytest.fixture
def key(world: World) -> dict[str, str]:
    """Of the platform."""
    return {"X-Api-Key": world.mint("main", frozenset({"read:usage", "read:audit", "read:things"}))}


def test_what_a_key_has_used_stands_under_it_and_under_the_day(world: World, key: dict[str, str]) -> None:
    customer = world.customer()
    bound = {"X-Api-Key": world.mint(customer.id, frozenset({"read:usage", "read:things"}))}
    for _ in range(3):
        assert world.gateway.public.get("/api/things", headers=bound).status_code == 200
    assert world.gateway.public.get("/api/things", headers=customer.bearer()).status_code == 200
    query = {"group_by": "key", "granularity": "day"}
    path = f"/api/v1/tenants/{customer.id}/usage"
    # Requests are counted within a tenth of a second.
    while True:
        body = world.gateway.public.get(path, params=query, headers=bound).json()
        if body["metrics"]["requests"]["used"] == 4:
            break
    (of_key,) = body["keys"]
    assert of_key["metrics"]["requests"] == 3
    assert sum(day["metrics"]["requests"] for day in body["days"]) == 4
    assert body["days"][-1]["day"] == datetime.now(UTC).date().isoformat()


def test_a_table_of_all_tenants_comes_whole(world: World, key: dict[str, str]) -> None:
    made = [typeid("tnt", UUID(world.customer().id)) for _ in range(3)]
    answer = world.gateway.public.get("/api/v1/usage", headers={**key, "Accept": "text/csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [row["tenant_id"] for row in rows][:3] == made[::-1]
    assert world.gateway.public.get("/api/v1/usage", headers=key).json()["org"]["id"] == "main"


def test_an_exported_trail_is_whole_on_both_listeners(world: World, key: dict[str, str]) -> None:
    world.customer()
    public = world.gateway.public.get("/api/v1/audit/export", headers=key)
    operators = world.gateway.admin.get("/export/audit")
    for answer in (public, operators):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
        lines = answer.content.splitlines(keepends=True)
        assert verify_export(lines).broken is None
        assert json.loads(lines[-1])["action"] in ("tenant.created", "key.created")
