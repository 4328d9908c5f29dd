"""What a fresh clone needs to hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-fuzz.lock")
COMMANDS = ("scripts/demo", "scripts/test", "scripts/check", "scripts/lock", "scripts/fuzz", ".ci/run")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_everything_by_hash_and_names_no_place(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"https?:|file:|--index-url|--find-links|/home/|/root/|/work/|/tmp/", text)
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_locks_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime, everything = (pinned(name) for name in LOCKS[:2])
    assert names(project["dependencies"]) <= runtime.keys()
    assert names(project["dependencies"] + extras["demo"] + extras["test"]) | {"hatchling", "editables"} <= everything.keys()
    assert all(everything[name] == version for name, version in runtime.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_script_can_be_run_and_is_well_formed(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_the_ci_runs_the_same_commands_as_people_do() -> None:
    run = (ROOT / ".ci/run").read_text()
    assert "scripts/check" in run
    assert "scripts/test" in run
    assert "scripts/fuzz" in run


def test_the_example_configuration_is_valid_and_fits_two_screens() -> None:
    path = ROOT / "gateway.yaml"
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=config/gateway.schema.json"
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 130
    secrets = {
        "TENANTGATE_ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "TENANTGATE_ADMIN_KEY": "k" * 32,
        "CLINIC_JWT_SECRET": "s" * 32,
    }
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "-c", path], cwd=ROOT, env={"PATH": os.defpath, **secrets}, check=False
    )
    assert done.returncode == 0


def pinned(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-") for requirement in requirements}
