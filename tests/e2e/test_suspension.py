"""A suspension under load: once its call has answered, no gateway lets a request of the tenant in."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from .conftest import World
from .stack import GatewayProcess, environment, provision

_SUSPENSIONS = 50


def test_no_request_is_let_in_once_a_suspension_has_answered(
    world: World, launch: Callable[..., GatewayProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    environ, prefix = environment(), f"e2e-{uuid4().hex[:8]}"
    gateways = [launch(world.upstream.url, environ, prefix) for _ in range(2)]
    customer = provision(gateways[0], f"t-{uuid4().hex[:12]}", "paid")
    headers, over = customer.bearer(), threading.Event()
    # From when to when the tenant was suspended for sure, and each request that was let in lay. One that begins in such a
    # window and ends past it may have been decided after the reactivation: only one that lies in it whole is evidence.
    suspended: list[tuple[float, float]] = []
    let_in: list[tuple[float, float]] = []

    def load(gateway: GatewayProcess) -> None:
        with httpx.Client(base_url=gateway.public_url, trust_env=False, timeout=20) as client:
            while not over.is_set():
                began = time.monotonic()
                answer = client.get("/analytics/x", headers=headers)
                assert answer.status_code in (200, 403), answer.text
                if answer.status_code == 200:
                    let_in.append((began, time.monotonic()))

    def turn(number: int, action: str) -> float:
        started = time.monotonic()
        answer = gateways[number % 2].admin.post(f"/{action}/tenant", params={"tenant_id": customer.id})
        assert answer.status_code == 200, answer.text
        return time.monotonic() - started

    took = []
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, gateway) for gateway in gateways]
        try:
            for number in range(_SUSPENSIONS):
                served = len(let_in)
                while len(let_in) < served + 2 and not any(one.done() for one in loads):
                    time.sleep(0.001)
                took.append(turn(number, "suspend"))
                answered = time.monotonic()
                time.sleep(0.02)
                suspended.append((answered, time.monotonic()))
                took.append(turn(number + 1, "reactivate"))
        finally:
            over.set()
        for one in loads:
            one.result()
    late = [one for one in let_in if any(start < one[0] and one[1] < end for start, end in suspended)]
    assert late == []
    with capsys.disabled():
        print(
            f"\n{len(took)} changes under load: median {statistics.median(took) * 1000:.1f} ms, worst {max(took) * 1000:.1f} ms"
        )
