"""A plan's users, over the whole walk: never one too many, and none lost by what the upstream answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from .conftest import World
from .recorder import json_answer
from .stack import Customer, GatewayProcess


def users(world: World, customer: Customer, reserved: int = 0) -> int:
    """How many there are, when as many as said are still reserved: a request is settled just after its answer."""
    deadline = time.monotonic() + 20
    while True:
        answer = world.gateway.admin.get("/fetch/resources", params={"tenant_id": customer.id}).json()
        shown = answer["data"]["resources"]["users"]
        if shown["reserved"] == reserved or time.monotonic() > deadline:
            assert shown["reserved"] == reserved
            used: int = shown["used"]
            return used
        time.sleep(0.02)


def test_50_at_once_make_exactly_what_the_plan_allows(world: World) -> None:
    customer, at = world.customer("five"), f"/users/{uuid4().hex}"

    async def flood() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=world.gateway.public_url, trust_env=False, timeout=30) as client:
            return await asyncio.gather(*(client.post(at, headers=customer.bearer()) for _ in range(50)))

    answers = asyncio.run(flood())
    assert Counter(answer.status_code for answer in answers) == {200: 5, 403: 45}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 403} == {"PLAN_LIMIT_REACHED"}
    assert len(world.upstream.at(at)) == 5
    assert users(world, customer) == 5
    plan = world.gateway.public.get("/api/v1/billing/plan", headers=customer.bearer()).json()
    assert plan["limits"]["resources"]["users"] == {"cap": 5, "used": 5, "remaining": 0}
    assert world.gateway.public.delete(at, headers=customer.bearer()).status_code == 200
    deadline = time.monotonic() + 20
    while users(world, customer) != 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [world.gateway.public.post(at, headers=customer.bearer()).status_code for _ in range(2)] == [200, 403]


@pytest.mark.parametrize(
    ("status", "used", "reserved"),
    [("201 Created", 1, 0), ("409 Conflict", 0, 0), ("303 See Other", 1, 1), ("500 Oops", 1, 1)],
)
def test_what_the_upstream_answers_decides(world: World, status: str, used: int, reserved: int) -> None:
    customer, at = world.customer("five"), f"/users/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: json_answer({}, status)
    world.gateway.public.post(at, headers=customer.bearer())
    assert users(world, customer, reserved) == used


def test_an_unknown_outcome_stays_reserved_until_the_operator_has_counted(world: World) -> None:
    customer, at = world.customer("five"), f"/users/{uuid4().hex}"
    world.upstream.responses[at], world.upstream.closing = lambda seen: b"", world.upstream.closing | {at}
    statuses = [world.gateway.public.post(at, headers=customer.bearer()).status_code for _ in range(6)]
    assert statuses == [502, 502, 502, 502, 502, 403]
    assert users(world, customer, reserved=5) == 5
    counted = {"resource": "users", "count": 1}
    answer = world.gateway.admin.post("/set/resource", params={"tenant_id": customer.id}, json=counted)
    assert answer.status_code == 200
    assert users(world, customer) == 1


def test_an_upstream_that_can_not_be_reached_makes_nothing(launch: Callable[..., GatewayProcess], world: World) -> None:
    customer = world.customer("five")
    alone = launch("http://127.0.0.1:9", world.environ, world.prefix)
    for _ in range(6):
        assert alone.public.post("/users/x", headers=customer.bearer()).json()["code"] == "UPSTREAM_UNREACHABLE"
    assert users(world, customer) == 0
