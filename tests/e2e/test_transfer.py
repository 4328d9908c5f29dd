"""The whole state from one running gateway to another, by the command."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from .recorder import Recorder
from .stack import ADMIN_KEY, GatewayProcess, environment, provision

TENANTS = 250


@pytest.fixture
def source(launch: Callable[..., GatewayProcess], upstream: Recorder) -> GatewayProcess:
    return launch(upstream.url, environment(), f"e2e-{uuid4().hex[:8]}")


@pytest.fixture
def target(launch: Callable[..., GatewayProcess], upstream: Recorder) -> GatewayProcess:
    """Its encryption key is another one."""
    return launch(upstream.url, environment(), f"e2e-{uuid4().hex[:8]}")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "export.key"
    file.write_text(b64encode(os.urandom(32)).decode())
    return file


def command(name: str, file: Path, gateway: GatewayProcess, key_file: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TENANTGATE_ADMIN_KEY": ADMIN_KEY, "TENANTGATE_ADMIN_URL": gateway.admin_url}
    line = [sys.executable, "-m", "gateway", name, str(file), "--export-key-file", str(key_file)]
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=120)


def test_a_state_moves_and_its_tenants_do_not_notice(
    source: GatewayProcess, target: GatewayProcess, tmp_path: Path, key_file: Path
) -> None:
    file, long = tmp_path / "state.jsonl", {f"branding_{number}": "x" * 200 for number in range(20)}
    customers = [provision(source, f"t-{number}", **long) for number in range(TENANTS)]
    done = command("export", file, source, key_file)
    assert (done.returncode, file.stat().st_mode & 0o777) == (0, 0o600), done.stderr
    # More than a body may have elsewhere.
    assert file.stat().st_size > 1 << 20
    done = command("import", file, target, key_file)
    assert done.returncode == 0, done.stderr
    for customer in (customers[0], customers[-1]):
        answer = target.public.get("/api/things", headers=customer.bearer())
        assert answer.status_code == 200
    assert command("export", file, source, key_file).returncode == 1


def test_an_export_that_broke_off_goes_on(source: GatewayProcess, tmp_path: Path, key_file: Path) -> None:
    for number in range(5):
        provision(source, f"t-{number}")
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    assert command("export", whole, source, key_file).returncode == 0
    lines = whole.read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join(lines[:-3]) + lines[-3][:40])
    assert command("export", broken, source, key_file).returncode == 0

    def told(file: Path) -> list[bytes]:
        # Sealing takes a fresh nonce each time, and the end counts what came after the break.
        return [line.partition(b'"record"')[0] for line in file.read_bytes().splitlines()[:-1]]

    assert told(broken)[1:] == told(whole)[1:]


def test_the_command_tells_why_it_was_refused(source: GatewayProcess, tmp_path: Path) -> None:
    short = tmp_path / "short.key"
    short.write_text("short")
    done = command("export", tmp_path / "state.jsonl", source, short)
    assert (done.returncode, "INVALID_BODY" in done.stderr) == (1, True)
