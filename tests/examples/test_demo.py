"""The demo as a newcomer runs it: one command, five requests to paste, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}


@dataclass
class Demo:
    process: subprocess.Popen[bytes]
    folder: Path
    ready: dict[str, Any]

    @property
    def lines(self) -> list[str]:
        """The requests to paste, in their order."""
        return re.findall(r"^# \d\. .*\n(.+)$", (self.folder / "output").read_text(), re.MULTILINE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)

    def operate(self, call: str, tenant: dict[str, str]) -> None:
        url = f"{self.ready['admin_url']}/api/v1/{call}?tenant_id={tenant['id']}"
        assert httpx.post(url, headers={"X-Admin-Key": self.ready["admin_key"]}).status_code == 200


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Demo]:
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", "--ready-file", "ready.json", *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 90
        while not ready.exists():
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Demo(process, folder, json.loads(ready.read_text()))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("demo")) as started:
        yield started


def test_five_requests_are_shown(demo: Demo) -> None:
    assert len(demo.lines) == 5


def test_the_first_line_logs_in_and_reads_the_tenants_own_users(demo: Demo) -> None:
    shown = paste(demo.lines[0])
    assert statuses(shown) == [200]
    assert '"tenant":"avanter"' in shown
    assert "clinica-abc" not in shown


def test_the_second_line_is_refused_for_another_tenants_header(demo: Demo) -> None:
    shown = paste(demo.lines[1])
    assert statuses(shown) == [401]
    assert "TENANT_MISMATCH" in shown


def test_the_third_line_is_served_once_and_refused_when_replayed(demo: Demo) -> None:
    shown = paste(demo.lines[2])
    assert statuses(shown) == [200, 401]
    assert "REPLAYED_REQUEST" in shown


def test_the_fourth_line_is_refused_for_a_suspended_tenant(demo: Demo) -> None:
    shown = paste(demo.lines[3])
    assert statuses(shown) == [403]
    assert "TENANT_SUSPENDED" in shown


def test_the_fifth_line_runs_into_the_rate_limit(demo: Demo) -> None:
    shown = paste(demo.lines[4])
    assert statuses(shown) == [200, 200, 200, 429]
    assert re.search(r"^retry-after: [1-9]", shown, re.MULTILINE | re.IGNORECASE)


def test_every_credential_of_the_ready_file_works(demo: Demo) -> None:
    assert [tenant["plan"] for tenant in demo.ready["tenants"]] == ["professional", "starter"]
    for tenant in demo.ready["tenants"]:
        slug, public = tenant["slug"], demo.ready["public_url"]
        users = f"{public}/api/v1/users"
        for headers in (
            {"Authorization": f"Bearer {tenant['jwt']}", "X-Tenant": slug},
            {"X-Api-Key": tenant["api_key"]},
            {"X-Api-Key": demo.ready["platform_key"], "X-Tenant-Id": tenant["id"]},
            signed(users, tenant),
        ):
            assert httpx.get(users, headers=headers).json()["tenant"] == slug
        widget = {"X-Widget-Key": tenant["widget_key"], "Origin": f"https://{slug}.example"}
        assert httpx.get(f"{public}/api/v1/practice", headers=widget).json()["tenant"] == slug
        assert httpx.get(f"{public}/api/v1/billing/plan", headers=widget).json()["plan"] == tenant["plan"]
    fetched = httpx.get(f"{demo.ready['admin_url']}/api/v1/fetch/tenants", headers={"X-Admin-Key": demo.ready["admin_key"]})
    assert fetched.status_code == 200


def test_a_feature_of_a_larger_plan_is_refused(demo: Demo) -> None:
    starter = demo.ready["tenants"][1]
    answer = httpx.get(f"{demo.ready['public_url']}/api/v1/analytics", headers={"X-Api-Key": starter["api_key"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "FEATURE_NOT_IN_PLAN")


def test_a_second_demo_in_the_same_folder_says_who_is_in_the_way(demo: Demo) -> None:
    done = command(demo.folder, "demo")
    assert done.returncode == 1
    assert "another demo runs" in done.stderr


def test_several_workers_serve_the_same_tenants(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as demo:
        users, key = f"{demo.ready['public_url']}/api/v1/users", demo.ready["tenants"][0]["api_key"]
        assert [httpx.get(users, headers={"X-Api-Key": key}).status_code for _ in range(10)] == [200] * 10
        assert httpx.get(f"{demo.ready['admin_url']}/readyz?verbose").json()["data"]["checks"]["workers"] == "ok"
        assert demo.stop() == 0
    log = [json.loads(line) for line in (tmp_path / ".tenantgate/demo/gateway.log").read_text().splitlines()]
    assert {line["worker"] for line in log if line["event"] == "request"} <= {1, 2}
    assert len([line for line in log if line["event"] == "request" and line["path"] == "/api/v1/users"]) == 10
    assert "Everything has stopped" in (tmp_path / "output").read_text()


def test_credentials_outlive_a_restart_and_tenants_come_back(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        kept = first.ready
        first.operate("suspend/tenant", kept["tenants"][0])
        first.operate("archive/tenant", kept["tenants"][1])
        assert first.stop(signal.SIGINT) == 0
    with running(tmp_path) as second:
        again, other = second.ready["tenants"]
        assert {**again, "jwt": ""} == {**kept["tenants"][0], "jwt": ""}
        assert second.ready["platform_key"] == kept["platform_key"]
        assert re.fullmatch(r"clinica-abc-\w{6}", other["slug"])
        for tenant in (again, other):
            answer = httpx.get(f"{second.ready['public_url']}/api/v1/users", headers={"X-Api-Key": tenant["api_key"]})
            assert answer.json()["tenant"] == tenant["slug"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on_when_the_demo_has_gone(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as demo:
        family = descendants(demo.process.pid)
        names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in family}
        assert names >= {"postgres", "valkey-server"}
        assert demo.stop(number) == (0 if number is not signal.SIGKILL else -signal.SIGKILL)
        deadline = time.monotonic() + 15
        while (left := [pid for pid in family if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def paste(line: str) -> str:
    """What a plain shell shows, which knows nothing of the demo's folder or environment."""
    done = subprocess.run(["bash", "-c", line], cwd="/", env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout


def statuses(shown: str) -> list[int]:
    return [int(status) for status in re.findall(r"^HTTP/1\.1 (\d+)", shown, re.MULTILINE)]


def signed(url: str, tenant: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "sign", "GET", url, "--tenant", tenant["id"]],
        env={**ENVIRONMENT, "TENANTGATE_SECRET": tenant["secret"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    own = children.get(pid, [])
    return [*own, *(below for child in own for below in descendants(child))]
