"""A store that dies, hangs and comes back under load, before routes that go on without it and one that does not."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from gateway.tenancy.period import period_of
from tests.store.server import OwnServer

from .conftest import CONFIG
from .recorder import Recorder, json_answer
from .stack import Customer, GatewayProcess, provision
from .test_lifecycle import environment_of, eventually, linux, running
from .test_workers import counters, total, workers

CLIENTS = 8
PREFIX = "e2e"


ROUTES = re.findall(r"^  - (?:{name: (\w+)|name: (\w+))", CONFIG.read_text(), re.MULTILINE)


def route_number(name: str) -> int:
    return next(number for number, names in enumerate(ROUTES) if name in names)


@dataclass
class Scene:
    """A gateway whose routes go on without the store, but `analytics`; and a store that the test may harm."""

    store: OwnServer
    directory: Path
    variables: dict[str, str]
    upstream: Recorder

    @contextmanager
    def gateway(self) -> Iterator[GatewayProcess]:
        with running(self.variables, self.directory) as gateway:
            yield gateway

    def counted(self, customer: Customer) -> int:
        return asyncio.run(self._counted(UUID(customer.id)))

    async def _counted(self, tenant: UUID) -> int:
        store = Store(self.store.url, prefix=PREFIX, deadline=5)
        found = await Usage(store).of_tenant(tenant, period_of(time.time()))
        await store.close()
        return found.get("messages", 0)

    def all_counted(self) -> bool:
        """Whether the journals hold nothing but what they begin with."""
        return all(path.read_bytes().count(b"\n") == 1 for path in self.journals())

    def journals(self) -> list[Path]:
        return sorted((self.directory / "journal").glob("*.journal"))


@pytest.fixture
def scene(upstream: Recorder, tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "own").mkdir()
    with OwnServer(tmp_path / "own") as store:
        variables = {
            **environment_of(upstream, tmp_path),
            "TESTS_STORE_URL": store.url,
            "TENANTGATE__STORE__DEADLINE": "250ms",
            "TENANTGATE__STORE__ON_STORE_FAILURE": "allow",
            f"TENANTGATE__ROUTES__{route_number('analytics')}__ON_STORE_FAILURE": "deny",
        }
        yield Scene(store, tmp_path, variables, upstream)


@dataclass
class Load:
    """Clients that ask all the time, each for as long as it is let; `whole` are the answers of 200 that came whole."""

    gateway: GatewayProcess
    customer: Customer
    path: str = field(default_factory=lambda: f"/metered/{uuid4().hex}")
    answers: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running = [self._pool.submit(self._ask) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        for asking in self._running:
            asking.result(60)
        self._pool.shutdown()

    @property
    def whole(self) -> int:
        return self.answers["200"]

    def goes_on(self, more: int = 200) -> None:
        """So many more requests are served from now on."""
        before = self.whole
        eventually(lambda: self.whole >= before + more)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.gateway.public_url, trust_env=False, timeout=20) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get(self.path, headers=self.customer.bearer())
                    told = "200" if answer.status_code == 200 else str(answer.json()["code"])
                except httpx.HTTPError as broken:
                    told = type(broken).__name__
                self.answers[told] += 1


def outcome(gateway: GatewayProcess, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str]:
    answer = gateway.public.request(method, path, headers=headers)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]


def test_killed_and_started_again_under_load_the_counters_agree_with_what_was_delivered(scene: Scene) -> None:
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        with Load(gateway, customer) as load:
            for outages in (1, 2):
                load.goes_on()
                scene.store.kill()
                load.goes_on()
                # At first it is met by what is leased.
                eventually(lambda: total(counters(gateway), "tenantgate_standby_requests_total") >= 100 * outages)  # noqa: B023 -- called at once
                scene.store.start()
            load.goes_on()
        assert load.answers.keys() == {"200"}, load.answers
        eventually(lambda: scene.counted(customer) == load.whole)
        assert len(scene.upstream.at(load.path)) == load.whole
        assert total(counters(gateway), "tenantgate_standby_requests_total") >= 200
        assert "tenantgate_journal_entries 0.0" in httpx.get(f"{gateway.admin_url}/metrics", trust_env=False).text
        assert "Traceback" not in gateway.output


def test_a_store_that_hangs_stops_nobody(scene: Scene) -> None:
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        with Load(gateway, customer) as load:
            load.goes_on()
            scene.store.pause()
            load.goes_on()
            scene.store.go_on()
            load.goes_on()
        assert load.answers.keys() == {"200"}, load.answers
        eventually(lambda: scene.counted(customer) == load.whole)


def test_who_was_suspended_before_is_refused_and_a_route_that_denies_is_down(scene: Scene) -> None:
    with scene.gateway() as gateway:
        active, suspended, unseen = (provision(gateway, name, "paid") for name in ("active", "suspended", "unseen"))
        for customer in (active, suspended):
            assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        assert gateway.admin.post("/suspend/tenant", params={"tenant_id": suspended.id}).status_code == 200
        assert outcome(gateway, "/metered/x", suspended.bearer()) == (403, "TENANT_SUSPENDED")
        assert outcome(gateway, "/users/x", active.bearer(), "POST") == (200, "")
        scene.store.kill()
        for _ in range(30):
            assert outcome(gateway, "/metered/x", active.bearer()) == (200, "")
            assert outcome(gateway, "/metered/x", suspended.bearer()) == (403, "TENANT_SUSPENDED")
            assert outcome(gateway, "/metered/x", unseen.bearer()) == (503, "STORE_UNAVAILABLE")
            assert outcome(gateway, "/users/x", active.bearer(), "POST") == (503, "STORE_UNAVAILABLE")
            time.sleep(0.05)
        # When the lease that the last request before had taken has ended.
        assert outcome(gateway, "/analytics/x", active.bearer()) == (503, "STORE_UNAVAILABLE")


def test_what_is_known_is_not_served_for_longer_than_allowed(scene: Scene) -> None:
    scene.variables["TENANTGATE__STORE__STALE_FOR"] = "3s"
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        scene.store.kill()
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        eventually(lambda: outcome(gateway, "/metered/x", customer.bearer()) == (503, "STORE_UNAVAILABLE"))
        scene.store.start()
        eventually(lambda: outcome(gateway, "/metered/x", customer.bearer()) == (200, ""))


def test_a_gateway_that_is_killed_in_the_outage_loses_nothing_that_was_delivered(scene: Scene) -> None:
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        scene.store.kill()
        with Load(gateway, customer) as load:
            load.goes_on()
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait(10)
    assert load.answers.keys() - {"200", "ConnectError", "ReadError", "RemoteProtocolError"} == set()
    assert len(scene.journals()) == 1
    scene.store.start()
    with scene.gateway():
        eventually(lambda: len(scene.journals()) == 1 and scene.all_counted())
        # Beside what came whole: what was on its way to a client when the gateway died.
        assert load.whole + 1 <= scene.counted(customer) <= load.whole + 1 + CLIENTS


@linux
def test_of_a_worker_that_is_killed_in_the_outage_another_counts_what_it_delivered(scene: Scene) -> None:
    scene.variables["TENANTGATE_WORKERS"] = "2"
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        with Load(gateway, customer) as load:
            load.goes_on()
            scene.store.kill()
            load.goes_on()
            os.kill(min(workers(gateway)), signal.SIGKILL)
            load.goes_on()
            scene.store.start()
            load.goes_on()
        # One for each worker, and the parent's.
        eventually(lambda: len(scene.journals()) == 3 and scene.all_counted())
        assert load.whole <= scene.counted(customer) <= load.whole + CLIENTS


def test_a_full_journal_refuses(scene: Scene) -> None:
    scene.variables["TENANTGATE__STORE__JOURNAL_SIZE"] = "64KiB"
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        scene.store.kill()
        with Load(gateway, customer) as load:
            eventually(lambda: load.answers["STORE_UNAVAILABLE"] > 0)
        assert load.answers.keys() == {"200", "STORE_UNAVAILABLE"}
        assert scene.journals()[0].stat().st_size <= 64 << 10
        assert total(counters(gateway), "tenantgate_journal_refusals_total") > 0
        scene.store.start()
        eventually(lambda: scene.counted(customer) == load.whole + 1)
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")


def test_what_the_upstream_failed_in_the_outage_is_not_counted(scene: Scene) -> None:
    path = f"/metered/{uuid4().hex}"
    scene.upstream.responses[path] = lambda seen: json_answer({}, "500 Internal Server Error")
    with scene.gateway() as gateway:
        customer = provision(gateway, "acme")
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        scene.store.kill()
        assert gateway.public.get(path, headers=customer.bearer()).status_code == 500
        assert outcome(gateway, "/metered/x", customer.bearer()) == (200, "")
        scene.store.start()
        eventually(lambda: scene.counted(customer) == 2)
