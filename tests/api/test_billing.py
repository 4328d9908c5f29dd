"""The answers that the gateway gives a tenant itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.api.billing import builtins
from gateway.errors import STORE_UNAVAILABLE, TENANT_HEADER_MISSING, Refused
from gateway.ledger.resources import Held
from gateway.tenancy.plan import Metric, Plan, RateLimit
from tests.registry.samples import ManualClock
from tests.samples import ACME, ROOT_KEY, call

STARTER = Plan(
    "starter",
    rate=RateLimit(10, 1, 20),
    quotas={"emails": 100},
    concurrency=2,
    resources={"users": 5, "departments": None},
    features=frozenset({"recording"}),
)
PLANS = {"starter": STARTER, "professional": Plan("professional", features=frozenset({"recording", "transcription"}))}
METRICS = [Metric("requests", "monthly_request_cap"), Metric("emails", "monthly_email_cap")]
KEYS: Mapping[str, object] = {"keys": []}


async def used(tenant: UUID, period: str) -> Mapping[str, int]:
    assert (tenant, period) == (ACME.id, "2026-05")
    return {"emails": 130}


async def held(tenant: UUID) -> Mapping[str, Held]:
    assert tenant == ACME.id
    return {"users": Held(exist=3, reserved=1), "departments": Held(exist=2)}


async def unreachable(tenant: UUID, period: str) -> Mapping[str, int]:
    raise Refused(STORE_UNAVAILABLE)


ANSWERS = builtins(used, held, ManualClock(), PLANS, METRICS, lambda: KEYS)


async def test_a_tenant_reads_its_plan_limits_features_and_use() -> None:
    answer = await ANSWERS["billing_plan"](call(plan=STARTER))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert json.loads(bytes(answer.body)) == {
        "tenant_id": ACME.typeid,
        "tenant": "acme",
        "plan": "starter",
        "period": "2026-05",
        "resets_at": "2026-06-01T00:00:00Z",
        "limits": {
            "rate": {"rate": "10/second", "count": 10, "window_seconds": 1, "burst": 20},
            "concurrency": 2,
            "quotas": {
                "requests": {"cap": None, "used": 0, "remaining": None},
                "emails": {"cap": 100, "used": 130, "remaining": 0},
            },
            "resources": {
                "users": {"cap": 5, "used": 4, "remaining": 1},
                "departments": {"cap": None, "used": 2, "remaining": None},
            },
        },
        "features": {"recording": True, "transcription": False},
    }


async def test_the_tenants_own_values_lie_over_the_plans() -> None:
    tenant = replace(
        ACME,
        rate=RateLimit(1, 60, 1),
        caps={"emails": 200, "requests": 0},
        features={"recording": False, "transcription": True, "beta": True},
    )
    body = json.loads(bytes((await ANSWERS["billing_plan"](call(tenant=tenant, plan=STARTER))).body))
    assert body["limits"]["rate"]["rate"] == "1/minute"
    assert body["limits"]["quotas"]["emails"] == {"cap": 200, "used": 130, "remaining": 70}
    assert body["limits"]["quotas"]["requests"] == {"cap": 0, "used": 0, "remaining": 0}
    assert body["features"] == {"recording": False, "transcription": True, "beta": True}


async def test_a_call_for_no_tenant_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        await ANSWERS["billing_plan"](call(ROOT_KEY, tenant=None))
    assert refused.value.problem is TENANT_HEADER_MISSING


async def test_an_outage_of_the_store_is_told_as_one() -> None:
    answers = builtins(unreachable, held, ManualClock(), PLANS, METRICS, lambda: KEYS)
    with pytest.raises(Refused) as refused:
        await answers["billing_plan"](call(plan=STARTER))
    assert refused.value.problem is STORE_UNAVAILABLE


async def test_the_public_keys_can_be_mounted_too() -> None:
    answer = await ANSWERS["jwks"](call(tenant=None))
    assert (json.loads(bytes(answer.body)), answer.media_type) == (KEYS, "application/jwk-set+json")
