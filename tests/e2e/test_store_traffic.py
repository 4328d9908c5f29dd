"""What several workers and their store say to each other: caps by their number, answers that nobody waits for, what stays."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from bench.faults.load import Load
from bench.faults.stack import Stack, running
from gateway.cli.sign import sign_headers
from gateway.store.connect import Store

from .stack import Customer
from .test_lifecycle import eventually, linux
from .test_limits import flood

pytestmark = linux

PATIENT = {"TENANTGATE__STORE__DEADLINE": "5s"}
CANCELS = 1000
# Per tenant, organization or name: what exists until somebody ends it.
KEPT = {
    "record",
    "resources",
    "reservations",
    "audit",
    "audit-heads",
    "tenants",
    "slug",
    "ref",
    "key",
    "widget",
    "origin",
    "durable",
    "words",
}


@pytest.fixture(scope="module", params=[1, 2, 4], ids=["one worker", "two workers", "four workers"])
def crew(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with running(request.param, **PATIENT) as stack:
        yield stack


@pytest.mark.parametrize(("plan", "path"), [("hundred-rate", "/api"), ("hundred-quota", "/metered")], ids=["rate", "quota"])
async def test_500_at_once_admit_exactly_100_however_many_workers(crew: Stack, plan: str, path: str) -> None:
    customer, at = crew.customer(plan=plan), f"{path}/{uuid4().hex}"
    assert await flood([crew.gateway.public_url], at, customer, 500) == {"200": 100, "429": 400}
    assert len(crew.upstream.at(at)) == 100


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running(**PATIENT) as stack:
        yield stack


def signed(stack: Stack, customer: Customer, at: str) -> bytes:
    """A request that asks the store in any case, as its nonce is taken there."""
    fields = sign_headers("GET", f"http://gateway.test{at}", tenant_id=customer.id, secret=customer.secret)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {at} HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n".encode()


async def go_away(stack: Stack, request: bytes) -> None:
    """Ask, and leave before or after the answer, as it comes: the store takes some 10 ms."""
    address = urlsplit(stack.gateway.public_url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    await asyncio.sleep(random.uniform(0, 0.02))
    writer.transport.abort()


async def test_a_thousand_callers_that_go_away_leave_everybody_elses_answers_their_own(stack: Stack) -> None:
    leaving, caps = stack.customer(), {cap: stack.customer(monthly_message_cap=cap) for cap in range(10, 50, 5)}
    over = asyncio.Event()

    async def stay(cap: int, customer: Customer) -> int:
        """Ask until the others have gone and the cap is reached; how many were let in."""
        statuses: Counter[int] = Counter()
        async with httpx.AsyncClient(base_url=stack.gateway.public_url, trust_env=False, timeout=20) as client:
            while not (over.is_set() and statuses[429]):
                answer = await client.get(f"/metered/{cap}", headers=customer.bearer())
                statuses[answer.status_code] += 1
                assert set(statuses) <= {200, 429}, answer.text
                assert answer.headers["x-ratelimit-limit"] == str(cap)
                if answer.status_code == 200:
                    assert answer.json() == {
                        "tenant": customer.slug,
                        "schema": answer.json()["schema"],
                        "target": f"/metered/{cap}",
                    }
        return statuses[200]

    async def leave() -> None:
        for _ in range(CANCELS // 20):
            await go_away(stack, signed(stack, leaving, "/api/leaving"))

    stack.link.slow(0.002)
    try:
        staying = [asyncio.create_task(stay(cap, customer)) for cap, customer in caps.items()]
        await asyncio.gather(*(leave() for _ in range(20)))
        over.set()
        assert await asyncio.gather(*staying) == list(caps)
    finally:
        stack.link.let_through()
    assert [await stack.used(customer) for customer in caps.values()] == list(caps)
    assert 0 < len(stack.upstream.at("/api/leaving")) < CANCELS, "they all left at the same point"
    assert "Traceback" not in stack.gateway.output


async def test_nothing_that_limits_or_counts_stays_for_ever(stack: Stack) -> None:
    rich, poor, building = stack.customer(), stack.customer(plan="slow", monthly_message_cap=3), stack.customer(plan="five")
    paths = [f"/{name}/{uuid4().hex}" for name in ("api", "metered", "single", "tokens", "trial", "open")]
    for customer in (rich, poor):
        for path in paths:
            async with Load(stack.gateway.public_url, path, customer.bearer(), 8, times=4) as load:
                await load.ended()
            assert load.answers
    async with httpx.AsyncClient(base_url=stack.gateway.public_url, trust_env=False, timeout=20) as client:
        await client.get(
            "/api/x", headers=sign_headers("GET", f"{stack.gateway.public_url}/api/x", tenant_id=rich.id, secret=rich.secret)
        )
        await client.post("/batch/x", headers=rich.bearer(), json={"messages": [1, 2]})
        for method in ("POST", "POST", "DELETE"):
            await client.request(method, "/users/x", headers=building.bearer())
    # What is lent ends within seconds.
    ends = await ends_of_keys(stack)
    stack.gateway.admin.post("/suspend/tenant", params={"tenant_id": poor.id})
    async with Load(stack.gateway.public_url, paths[1], stack.bearer(rich), 8) as load:
        await load.reaches(20)
        os.kill(stack.pids()[0], signal.SIGKILL)
        await load.reaches(20)
    eventually(stack.is_whole)
    ends |= await ends_of_keys(stack)
    assert {name for name, seconds in ends.items() if seconds < 0 and kind(name) not in KEPT} == set()
    # It has seen each kind that does end.
    assert {"rate", "usage", "slots", "nonce", "exchange", "leases"} <= {
        kind(name) for name, seconds in ends.items() if seconds > 0
    }


async def ends_of_keys(stack: Stack) -> dict[str, int]:
    """Seconds that each key of the store has left; -1 where it has no end."""
    store, ends = Store(stack.server.url, prefix="any", deadline=5), {}
    try:
        names = await store.control.command("KEYS", "*")
        assert isinstance(names, list)
        for name in names:
            seconds = await store.control.command("TTL", name)
            assert isinstance(name, bytes)
            assert isinstance(seconds, int)
            if seconds != -2:  # It has ended just now.
                ends[name.decode()] = seconds
    finally:
        await store.close()
    return ends


def kind(name: str) -> str:
    """`rate` of `prefix:{tenant}:rate:…`, `slug` of `prefix:{slug:acme}`."""
    tag, _, rest = name.partition(":{")[2].partition("}")
    return rest.split(":")[1] if rest else tag.partition(":")[0]
