"""Caps hold exactly over several processes, and what is limited says so."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from .conftest import World
from .recorder import Recorder, json_answer
from .stack import Customer, GatewayProcess


@pytest.fixture(scope="module")
def second(launch: Callable[..., GatewayProcess], world: World) -> GatewayProcess:
    """Another gateway on the same store."""
    return launch(world.upstream.url, world.environ, world.prefix)


async def flood(urls: list[str], at: str, customer: Customer, count: int) -> Counter[str]:
    """`count` requests at once, each on a connection of its own, spread over the gateways; how many got which status."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in customer.bearer().items())
    connections = await asyncio.gather(*(_connect(urls[n % len(urls)]) for n in range(count)))
    for _, writer in connections:
        writer.write(f"GET {at} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{fields}\r\n".encode())
    answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return Counter(answer[9:12].decode() for answer in answers)


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


@pytest.mark.parametrize(("plan", "path"), [("hundred-rate", "/api"), ("hundred-quota", "/metered")], ids=["rate", "quota"])
def test_500_at_once_over_two_processes_admit_exactly_the_cap(
    world: World, second: GatewayProcess, plan: str, path: str
) -> None:
    customer, at = world.customer(plan), f"{path}/{uuid4().hex}"
    urls = [world.gateway.public_url, second.public_url]
    statuses = asyncio.run(flood(urls, at, customer, 500))
    assert statuses == {"200": 100, "429": 400}
    assert len(world.upstream.at(at)) == 100


def test_a_limited_answer_says_when_to_come_back(world: World) -> None:
    customer, at = world.customer("slow"), f"/api/{uuid4().hex}"
    answers = [world.gateway.public.get(at, headers=customer.bearer()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited, problem = answers[-1], answers[-1].json()
    assert problem["code"] == "RATE_LIMITED"
    assert problem["violated-policies"] == ["tenant"]
    assert 1 <= int(limited.headers["retry-after"]) <= 20
    assert limited.headers["ratelimit-policy"] == '"tenant";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"tenant";r=2;t=')


def test_a_used_up_quota_is_429_and_refusals_burn_nothing(world: World) -> None:
    customer, at = world.customer("small"), f"/metered/{uuid4().hex}"
    for _ in range(5):
        assert world.gateway.public.get(at).status_code == 401
    statuses = [world.gateway.public.get(at, headers=customer.bearer()).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = world.gateway.public.get(at, headers=customer.bearer())
    assert refused.json()["code"] == "TENANT_QUOTA_EXCEEDED"
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
    assert (refused.headers["x-ratelimit-limit"], refused.headers["x-ratelimit-remaining"]) == ("3", "0")


def test_a_raised_cap_keeps_what_was_used_and_is_in_force_at_once(world: World) -> None:
    customer, at = world.customer("small"), f"/metered/{uuid4().hex}"
    for _ in range(3):
        assert world.gateway.public.get(at, headers=customer.bearer()).status_code == 200
    update = world.gateway.admin.post("/update/tenant", params={"tenant_id": customer.id}, json={"monthly_message_cap": 4})
    assert update.status_code == 200
    statuses = [world.gateway.public.get(at, headers=customer.bearer()).status_code for _ in range(2)]
    assert statuses == [200, 429]


def test_the_plan_is_told_with_its_present_use(world: World) -> None:
    customer = world.customer("small")
    answer = world.gateway.public.get("/api/v1/billing/plan", headers=customer.bearer())
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert plan["plan"] == "small"
    assert plan["limits"]["quotas"]["messages"] == {"cap": 3, "used": 0, "remaining": 3}

    # These are counted within a tenth of a second, and the next answer tells.
    def used() -> int:
        answer = world.gateway.public.get("/api/v1/billing/plan", headers=customer.bearer())
        return int(answer.json()["limits"]["quotas"]["requests"]["used"])

    asked = 1
    while (told := used()) == 0:
        asked += 1
        time.sleep(0.02)
    assert told <= asked


def test_policies_in_shadow_let_pass_what_they_count_and_log(world: World) -> None:
    customer, at = world.customer("small"), f"/trial/{uuid4().hex}"
    answers = [world.gateway.public.get(at, headers=customer.bearer()) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert "ratelimit" not in answers[-1].headers
    # A line is written when its answer has ended; that of the next request tells that those before it are there.
    assert world.gateway.public.get(at, headers=customer.bearer()).status_code == 200
    guards = ["INSUFFICIENT_SCOPE", "FEATURE_NOT_IN_PLAN"]
    lines = [line["shadow"] for line in world.gateway.log if line.get("path") == at][:5]
    assert lines == [guards, *[[*guards, "RATE_LIMITED"]] * 2, *[[*guards, "RATE_LIMITED", "TENANT_QUOTA_EXCEEDED"]] * 2]
    metrics = httpx.get(f"{world.gateway.admin_url}/metrics", trust_env=False).text
    assert 'tenantgate_shadow_refusals_total{code="RATE_LIMITED",route="trial"} 5.0' in metrics
    plan = world.gateway.public.get("/api/v1/billing/plan", headers=customer.bearer()).json()
    assert plan["limits"]["quotas"]["messages"] == {"cap": 3, "used": 6, "remaining": 0}


def used(world: World, customer: Customer) -> int:
    plan = world.gateway.public.get("/api/v1/billing/plan", headers=customer.bearer()).json()
    units: int = plan["limits"]["quotas"]["messages"]["used"]
    return units


def test_the_units_of_a_body_are_all_admitted_or_none(world: World) -> None:
    customer, at = world.customer("small"), f"/batch/{uuid4().hex}"
    for body, status in (({"messages": [1, 2]}, 200), ({"messages": [1, 2]}, 429), ({}, 422), ({"messages": 1}, 200)):
        assert world.gateway.public.post(at, json=body, headers=customer.bearer()).status_code == status
    assert used(world, customer) == 3
    assert [seen.body for seen in world.upstream.at(at)] == [b'{"messages":[1,2]}', b'{"messages":1}']


def test_what_the_upstream_tells_is_counted_and_its_overrun_reported(world: World) -> None:
    customer, at = world.customer("small"), f"/tokens/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: json_answer({}, fields="X-Usage-Units: 5\r\n")
    answer = world.gateway.public.get(at, headers=customer.bearer())
    assert (answer.status_code, answer.headers.get("x-usage-units")) == (200, None)
    refused = world.gateway.public.get(at, headers=customer.bearer())
    assert (refused.status_code, refused.json()["code"]) == (429, "TENANT_QUOTA_EXCEEDED")
    assert used(world, customer) == 5
    assert [line.get("overrun") for line in world.gateway.log if line.get("path") == at][:1] == [{"messages": 4}]
    metrics = httpx.get(f"{world.gateway.admin_url}/metrics", trust_env=False).text
    assert 'tenantgate_overrun_units_total{metric="messages",route="tokens"} 4.0' in metrics


def test_a_vanished_store_is_503_and_never_a_bad_credential(
    launch: Callable[..., GatewayProcess], upstream: Recorder, tmp_path: Path, world: World
) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"
    dead = launch(upstream.url, world.environ | {"TENANTGATE__STORE__URL": f"unix://{tmp_path}/nothing"}, world.prefix)
    answer = dead.public.get(at, headers=customer.bearer())
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert answer.headers["retry-after"]
    assert dead.public.get(at, headers=customer.bearer() | {"X-Api-Key": "tg_live_x"}).status_code == 400
    assert httpx.get(f"{dead.admin_url}/readyz", trust_env=False).status_code == 503
    assert httpx.get(f"{dead.admin_url}/livez", trust_env=False).status_code == 200
    assert upstream.at(at) == []
