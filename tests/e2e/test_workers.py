"""Several processes under one parent are one gateway: counted as one, drained as one, and whole again when one dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import CONFIG
from .recorder import Recorder
from .stack import GatewayProcess, provision
from .test_lifecycle import accepts, environment_of, eventually, failed_start, holding, linux, running, stores
from .test_limits import flood

WORKERS = 4

pytestmark = linux


@pytest.fixture
def four(upstream: Recorder, tmp_path: Path) -> dict[str, str]:
    """Variables of a gateway of four workers, with a store of its own."""
    return {**environment_of(upstream, tmp_path), "TENANTGATE_WORKERS": str(WORKERS)}


@pytest.fixture(scope="module")
def gateway(upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Shared: it is whole at the beginning and the end of every test."""
    directory = tmp_path_factory.mktemp("workers")
    with running({**environment_of(upstream, directory), "TENANTGATE_WORKERS": str(WORKERS)}, directory) as gateway:
        yield gateway
        assert gateway.stop() == 0


def workers(gateway: GatewayProcess) -> set[int]:
    """Process ids of the workers that live."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, fields = (process / "cmdline").read_bytes(), (process / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == gateway.process.pid and b"gateway.workers" in words and fields[0] != "Z":
            found.add(int(process.name))
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and state(pid) != "Z"}


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def counters(gateway: GatewayProcess) -> dict[tuple[str, ...], float]:
    """All that only grows, by name and labels."""
    text = httpx.get(f"{gateway.admin_url}/metrics", trust_env=False).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def total(counted: dict[tuple[str, ...], float], name: str) -> float:
    return sum(value for key, value in counted.items() if key[0] == name)


def readiness(gateway: GatewayProcess) -> httpx.Response:
    return httpx.get(f"{gateway.admin_url}/readyz?verbose", trust_env=False)


def clients(gateway: GatewayProcess) -> httpx.Client:
    """Each request on a connection of its own, so that any worker may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=gateway.public_url, limits=limits, trust_env=False, timeout=20)


def test_the_metrics_of_all_workers_are_told_as_those_of_one(gateway: GatewayProcess) -> None:
    before, logged = counters(gateway), len(gateway.log)
    assert len(workers(gateway)) == WORKERS

    def ask(_: int) -> list[httpx.Response]:
        with clients(gateway) as client:
            return [client.get("/open/x") for _ in range(10)]

    with ThreadPoolExecutor(20) as pool:
        answers = [answer for some in pool.map(ask, range(20)) for answer in some]
    assert Counter(answer.status_code for answer in answers) == {200: 200}
    # Every line is whole.
    eventually(lambda: len(gateway.log) == logged + 200)
    counted = Counter(counters(gateway))
    counted.subtract(before)
    assert total(counted, "tenantgate_requests_total") == 200
    assert total(counted, "tenantgate_request_duration_seconds_count") == 200
    assert counted["tenantgate_request_duration_seconds_bucket", "+Inf", "open"] == 200
    assert len({line["worker"] for line in gateway.log}) > 1
    assert all("worker" not in answer.text + str(answer.headers) for answer in answers)


def test_a_killed_worker_is_replaced_under_load_and_no_counter_goes_back(gateway: GatewayProcess) -> None:
    bearer = provision(gateway, "killed").bearer()
    first, done, statuses = workers(gateway), threading.Event(), Counter[int | str]()

    def ask() -> None:
        with clients(gateway) as client:
            while not done.is_set():
                try:
                    statuses[client.get("/api/x", headers=bearer).status_code] += 1
                except httpx.TransportError as error:
                    statuses[type(error).__name__] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: statuses[200] > 50)
        before, told = counters(gateway), []
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: readiness(gateway).status_code == 503)
        served = statuses[200]
        eventually(lambda: statuses[200] > served + 20)
        told.append(counters(gateway))
        eventually(lambda: readiness(gateway).status_code == 200)
        told.append(counters(gateway))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    told.append(counters(gateway))
    for earlier, later in zip([before, *told], told, strict=False):
        assert {key: (value, later.get(key)) for key, value in earlier.items() if later.get(key, -1) < value} == {}
    assert told[-1]["tenantgate_worker_restarts_total",] == before["tenantgate_worker_restarts_total",] + 1
    assert len(workers(gateway)) == WORKERS
    assert len(workers(gateway) & first) == WORKERS - 1
    # Only what the victim had in hand was lost.
    assert sum(count for status, count in statuses.items() if status != 200) <= len(threads), statuses
    assert re.search(rf"worker \d \(process {victim}\) ended with signal SIGKILL", gateway.output)
    assert readiness(gateway).json()["data"]["checks"] == {"store": "ok", "serving": "ok", "workers": "ok"}


def test_while_a_worker_is_missing_it_is_named(gateway: GatewayProcess) -> None:
    stopped = min(workers(gateway))
    os.kill(stopped, signal.SIGSTOP)
    try:
        answer = readiness(gateway)
        assert (answer.status_code, answer.json()["code"]) == (503, "WORKER_UNAVAILABLE")
        assert re.fullmatch(r"Worker \d does not answer\.", answer.json()["message"])
        assert total(counters(gateway), "tenantgate_requests_total") > 0, "it took along what it had told"
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: readiness(gateway).status_code == 200)


def test_killed_the_parent_leaves_no_process_behind(four: dict[str, str], tmp_path: Path) -> None:
    with running(four, tmp_path) as gateway:
        left = workers(gateway) | stores(tmp_path / "store")
        assert len(left) == WORKERS + 1
        gateway.stop(signal.SIGKILL)
        eventually(lambda: alive(left) == set())
        assert not accepts(gateway.public_url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_all_workers_and_then_the_store(four: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    with holding() as held, running({**four, "TESTS_UPSTREAM": held.url}, tmp_path) as gateway:
        asking = held.ask(gateway)
        gateway.process.send_signal(number)
        eventually(lambda: readiness(gateway).status_code == 503)
        assert readiness(gateway).json()["code"] == "SHUTTING_DOWN"
        eventually(lambda: not accepts(gateway.public_url))
        eventually(lambda: len(workers(gateway)) == 1)
        assert len(stores(tmp_path / "store")) == 1, "the store ended before the request"
        held.release()
        answer = asking.result(20)
        assert (answer.status_code, answer.json()) == (200, {"held": True})
        assert gateway.process.wait(20) == 0
        assert stores(tmp_path / "store") == set()
        assert "Traceback" not in gateway.output


def test_ctrl_c_in_a_terminal_drains_as_well(four: dict[str, str], tmp_path: Path) -> None:
    """The terminal signals the whole group of processes in the foreground."""
    with holding() as held, running({**four, "TESTS_UPSTREAM": held.url}, tmp_path) as gateway:
        asking = held.ask(gateway)
        own = os.getpgid(gateway.process.pid)
        assert all(os.getpgid(pid) != own for pid in workers(gateway)), "a worker would get the signal itself"
        gateway.process.send_signal(signal.SIGINT)
        held.release()
        assert asking.result(20).status_code == 200
        assert gateway.process.wait(20) == 0


def test_500_at_once_on_four_workers_admit_exactly_the_quota(gateway: GatewayProcess, upstream: Recorder) -> None:
    customer, at = provision(gateway, "capped", "hundred-quota"), f"/metered/{uuid4().hex}"
    statuses = asyncio.run(flood([gateway.public_url], at, customer, 500))
    assert statuses == {"200": 100, "429": 400}
    assert len(upstream.at(at)) == 100
    eventually(lambda: len([line for line in gateway.log if line.get("path") == at]) == 500)
    assert len({line["worker"] for line in gateway.log}) > 1


def test_what_one_worker_is_told_holds_on_all(gateway: GatewayProcess) -> None:
    customer = provision(gateway, "suspended")
    with clients(gateway) as client, ThreadPoolExecutor(8) as pool:

        def statuses() -> set[int]:
            answers = pool.map(lambda _: client.get("/api/x", headers=customer.bearer()), range(40))
            return {answer.status_code for answer in answers}

        assert statuses() == {200}
        assert gateway.admin.post("/suspend/tenant", params={"tenant_id": customer.id}).status_code == 200
        assert statuses() == {403}


@pytest.mark.parametrize("listener", ["PUBLIC", "ADMIN"])
def test_an_address_in_use_is_told_before_anything_starts(four: dict[str, str], tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failed_start({**four, f"TENANTGATE__LISTENERS__{listener}__PORT": str(port)})
    assert str(port) in said
    assert "in use" in said
    assert not (tmp_path / "store").exists()


def test_what_a_gateway_needs_is_told_once_and_not_by_each_worker(four: dict[str, str]) -> None:
    said = failed_start({**four, "TESTS_ENCRYPTION_KEY": ""})
    assert said.count("secrets.encryption_key") == 1


def test_a_worker_that_does_not_get_to_serve_stops_the_gateway(four: dict[str, str], tmp_path: Path) -> None:
    """By a policy that the parent can load, and no worker."""
    code = "import os, sys\nfrom policies.public import Public\nif 'gateway.workers' in sys.orig_argv:\n    os._exit(3)\n"
    (tmp_path / "deadly.py").write_text(code)
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.read_text().replace("policies: [public]", "policies: [deadly.Public]", 1))
    said = failed_start({**four, "PYTHONPATH": str(tmp_path)}, config)
    assert "3 times in a row a worker did not get to serve" in said
    assert "ended with status 3" in said
    assert stores(tmp_path / "store") == set()
