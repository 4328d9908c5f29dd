"""How many a tenant has of what its plan bounds, and the operator's word about it."""

from __future__ import annotations

import pytest

from tests.api.samples import Operator

UNKNOWN = "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"


async def test_an_operator_counts_and_reads_what_a_tenant_has(operator: Operator) -> None:
    tenant = await operator.provision(plan_tier="free")
    answer = await operator.post("set/resource", {"resource": "users", "count": 3}, tenant_id=tenant["tenant_id"])
    assert (answer.status_code, answer.json()["message"]) == (200, "Resource set. Its reservations are cleared.")
    fetched = await operator.get("fetch/resources", tenant_id=tenant["tenant_id"])
    assert (
        fetched.json()["data"]
        == answer.json()["data"]
        == {
            "tenant_id": tenant["tenant_id"],
            "resources": {
                "departments": {"cap": None, "used": 0, "reserved": 0},
                "users": {"cap": 5, "used": 3, "reserved": 0},
            },
        }
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"resource": "cars", "count": 3}, "resource"),
        ({"resource": "users"}, "count"),
        ({"resource": "users", "count": -1}, "count"),
        ({"resource": "users", "count": "3"}, "count"),
        ({"resource": "users", "count": True}, "count"),
        ({"resource": "users", "count": 1.5}, "count"),
        ({"resource": "users", "count": 1, "force": True}, "force"),
    ],
)
async def test_what_is_no_count_of_a_known_resource_is_refused_by_its_field(
    operator: Operator, body: dict[str, object], field: str
) -> None:
    tenant = await operator.provision()
    answer = await operator.post("set/resource", body, tenant_id=tenant["tenant_id"])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_tenant_that_is_not_there_has_nothing(operator: Operator) -> None:
    assert (await operator.get("fetch/resources", tenant_id=UNKNOWN)).status_code == 404
    answer = await operator.post("set/resource", {"resource": "users", "count": 1}, tenant_id=UNKNOWN)
    assert answer.status_code == 404
