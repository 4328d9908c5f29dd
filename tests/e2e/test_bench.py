"""`tenantgate bench` against a gateway as users run it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from .conftest import CONFIG
from .recorder import Recorder
from .stack import ADMIN_KEY, GatewayProcess, environment, provision


@dataclass(frozen=True)
class Bench:
    """The command, and the gateway whose admin listener its configuration names."""

    gateway: GatewayProcess
    environ: dict[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", "bench", *arguments]
        return subprocess.run(command, env={**os.environ, **self.environ}, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def bench(launch: Callable[..., GatewayProcess], upstream: Recorder, store_socket: Path) -> Bench:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    prefix = f"e2e-{uuid4().hex[:8]}"
    environ = environment() | {"TENANTGATE__LISTENERS__ADMIN__PORT": port}
    gateway = launch(upstream.url, environ, prefix)
    named = {
        "TESTS_STORE_URL": f"unix://{store_socket}",
        "TESTS_PREFIX": prefix,
        "TESTS_UPSTREAM": upstream.url,
        "TESTS_ADMIN_KEY": ADMIN_KEY,
    }
    return Bench(gateway, environ | named)


@pytest.mark.parametrize("by_process", [False, True])
def test_a_request_is_timed_with_what_it_costs_the_gateway(bench, upstream, by_process):
    customer, at = provision(bench.gateway, f"t-{uuid4().hex[:12]}"), uuid4().hex
    headers = [part for name, value in customer.bearer().items() for part in ("-H", f"{name}: {value}")]
    source = ["--pid", str(bench.gateway.process.pid)] if by_process else ["-c", str(CONFIG)]
    ended = bench(f"{bench.gateway.public_url}/api/{at}", *headers, "--connections", "4", "-d", "1", "-o", "json", *source)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    # The first one is not timed.
    assert told["answers"] == len(upstream.at(at)) - 1 > 0
    assert (told["statuses"], told["codes"], told["broken"]) == ({"200": told["answers"]}, {}, {})
    assert 0 < told["p50"] <= told["p99"]
    # Read in steps of 10 ms.
    assert 0 < told["processor_per_answer"] < 1
    assert (told["store_calls_per_answer"] is None) is by_process
    assert by_process or told["store_calls_per_answer"] > 0
    assert customer.token() not in ended.stdout + ended.stderr


def test_a_refusal_is_told_with_what_to_do_and_is_not_timed(bench, upstream):
    at = uuid4().hex
    ended = bench(f"{bench.gateway.public_url}/api/{at}", "-c", str(CONFIG))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"GET {bench.gateway.public_url}/api/{at}: 401 TOKEN_MISSING" in ended.stderr
    assert "Nothing was timed." in ended.stderr
    assert upstream.at(at) == []
    # Nor was it sent again.
    assert [line for line in bench.gateway.log if at in line.get("path", "")][1:] == []


def test_a_configuration_of_no_gateway_that_runs_is_told(bench):
    other = Bench(bench.gateway, bench.environ | {"TENANTGATE__LISTENERS__ADMIN__PORT": "1"})
    ended = other(f"{bench.gateway.public_url}/open/x", "-c", str(CONFIG), "-d", "1")
    assert ended.returncode == 1
    assert "http://127.0.0.1:1/metrics does not answer" in ended.stderr
