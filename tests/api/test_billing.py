"""The answers that the gateway gives a tenant itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.api.mount import Mounted
from gateway.api.platform.catalogue import platform_groups
from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.ledger.resources import Resources
from gateway.pipeline.call import Call
from gateway.tenancy.period import period_end, period_of
from gateway.tenancy.plan import Metric, Plan, RateLimit
from tests.api.samples import parts_of
from tests.registry.samples import Registry
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
METRICS = {name: Metric(name, f"monthly_{name}_cap") for name in ("requests", "emails")}


async def asked(registry: Registry, builtin: str, of: Call) -> Any:
    async def no_body(limit: int) -> bytes:
        return b""

    parts = replace(parts_of(registry), plans=PLANS, metrics=METRICS)
    answer = await Mounted("/things", platform_groups(parts)[builtin], registry.answers)(of, no_body)
    return answer, json.loads(bytes(answer.body))


@pytest.fixture(autouse=True)
async def use(registry: Registry) -> str:
    """What ACME has used in the present month, and has; answers the month."""
    period = period_of(registry.clock.now())
    await registry.store.data.command("HSET", registry.store.keys.usage(str(ACME.id), period), "emails", 130)
    resources = Resources(registry.store, ["users", "departments"])
    await resources.reconcile(ACME.id, "users", 4)
    await resources.reconcile(ACME.id, "departments", 2)
    return period


async def test_a_tenant_reads_its_plan_limits_features_and_use(registry: Registry, use: str) -> None:
    answer, body = await asked(registry, "billing_plan", call(plan=STARTER))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert registry.clock.now() < period_end(use)
    assert body == {
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


async def test_the_tenants_own_values_lie_over_the_plans(registry: Registry) -> None:
    tenant = replace(
        ACME,
        rate=RateLimit(1, 60, 1),
        caps={"emails": 200, "requests": 0},
        features={"recording": False, "transcription": True, "beta": True},
    )
    _, body = await asked(registry, "billing_plan", call(tenant=tenant, plan=STARTER))
    assert body["limits"]["rate"]["rate"] == "1/minute"
    assert body["limits"]["quotas"]["emails"] == {"cap": 200, "used": 130, "remaining": 70}
    assert body["limits"]["quotas"]["requests"] == {"cap": 0, "used": 0, "remaining": 0}
    assert body["features"] == {"recording": False, "transcription": True, "beta": True}


async def test_a_call_for_no_tenant_is_refused(registry: Registry) -> None:
    with pytest.raises(Refused) as refused:
        await asked(registry, "billing_plan", call(ROOT_KEY, tenant=None))
    assert refused.value.problem is TENANT_HEADER_MISSING


async def test_the_public_keys_can_be_mounted_too(registry: Registry) -> None:
    answer, body = await asked(registry, "jwks", call(tenant=None))
    assert (body, answer.media_type) == ({"keys": []}, "application/jwk-set+json")
