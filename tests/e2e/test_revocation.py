"""Credentials that end: from then on nothing is let in by them, also where the same request came again and again before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime

import httpx
import pytest

from .conftest import World

AGAIN = 5


def ask(world: World, headers: Mapping[str, str]) -> str:
    answer = world.gateway.public.get("/api/things", headers=headers)
    return "OK" if answer.status_code == 200 else str(answer.json()["code"])


def operate(world: World, call: str, body: object, **query: str) -> httpx.Response:
    answer = world.gateway.admin.post(f"/{call}", json=body, params=query)
    assert answer.is_success, answer.text
    return answer


@pytest.mark.parametrize("by", ["jti", "subject", "tenant"])
def test_a_revoked_token_is_refused_and_others_are_not(world: World, by: str) -> None:
    customer, now = world.customer("paid"), int(time.time())
    old = customer.bearer(jti="old", sub="anna", iat=now - 10)
    other = {
        "jti": customer.bearer(jti="other", sub="anna", iat=now - 10),
        "subject": customer.bearer(jti="other", sub="bert", iat=now - 10),
        "tenant": customer.bearer(jti="other", sub="anna", iat=now - 1),
    }[by]
    assert [ask(world, headers) for headers in (old, other) * AGAIN] == ["OK"] * (2 * AGAIN)
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 5))
    body = {
        "jti": {"jti": "old"},
        "subject": {"subject": "anna", "issued_before": before},
        "tenant": {"issued_before": before},
    }[by]
    operate(world, "revoke/tokens", body, tenant_id=customer.id)
    assert [ask(world, old) for _ in range(AGAIN)] == ["TOKEN_REVOKED"] * AGAIN
    assert ask(world, other) == "OK"


def test_a_rolled_key_is_let_in_until_its_overlap_ends(world: World) -> None:
    customer = world.customer("paid")
    old = operate(world, "mint/root-key", {"name": "a"}).json()["data"]
    headers = {"X-Api-Key": old["key"], "X-Tenant": customer.slug}
    assert [ask(world, headers) for _ in range(AGAIN)] == ["OK"] * AGAIN
    started = time.monotonic()
    new = operate(world, "roll/root-key", {"overlap_seconds": 1}, key_id=old["id"]).json()["data"]
    while ask(world, headers) == "OK":
        assert time.monotonic() - started < 10
        time.sleep(0.01)
    assert time.monotonic() - started > 1
    assert ask(world, headers) == "KEY_EXPIRED"
    assert ask(world, {**headers, "X-Api-Key": new["key"]}) == "OK"


def test_it_is_told_when_a_key_was_last_used(world: World) -> None:
    key = operate(world, "mint/root-key", {"name": "a"}).json()["data"]
    assert key["last_used_at"] is None
    headers, before = {"X-Api-Key": key["key"], "X-Tenant": world.customer("paid").slug}, time.time()
    assert [ask(world, headers) for _ in range(AGAIN)] == ["OK"] * AGAIN
    told = None
    while told is None:
        assert time.time() - before < 20
        time.sleep(0.1)
        keys = world.gateway.admin.get("/fetch/root-keys").json()["data"]["keys"]
        told = next(one["last_used_at"] for one in keys if one["id"] == key["id"])
    assert int(before) <= datetime.fromisoformat(told).timestamp() <= time.time()
