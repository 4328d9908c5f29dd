"""`tenantgate check` and `tenantgate schema`, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

ROOT = Path(__file__).parents[2]
WRONG = ROOT / "tests" / "settings" / "wrong"

RIGHT = """\
version: 1
plans: {free: {}}
orgs: {main: {default_plan: free}}
routes:
  - {name: keys, path: /jwks.json, builtin: jwks, policies: [public]}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text(RIGHT)
    return CliRunner()


def _check(run: CliRunner, *arguments: str) -> Result:
    return run.invoke(app, ["check", *arguments])


def test_a_right_file_is_valid(run: CliRunner) -> None:
    result = _check(run)
    assert (result.exit_code, result.output) == (0, "gateway.yaml: valid\n")


def test_a_wrong_file_is_told_line_by_line(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WRONG)
    result = _check(run, "-c", "several-at-once.yaml")
    assert result.exit_code == 1
    assert result.output == Path("several-at-once.txt").read_text("utf-8")


def test_programs_get_json(run: CliRunner) -> None:
    Path("gateway.yaml").write_text(RIGHT.replace("free}}", "fre}}"))
    result = _check(run, "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "valid": False,
        "faults": [
            {
                "file": "gateway.yaml",
                "line": 3,
                "column": 29,
                "found": 'the unknown plan "fre"',
                "expected": "free",
                "hint": "Did you mean free?",
            }
        ],
    }
    Path("gateway.yaml").write_text(RIGHT)
    assert json.loads(_check(run, "-o", "json").output) == {"valid": True, "faults": []}


def test_a_file_that_cannot_be_read_is_told_apart(run: CliRunner) -> None:
    result = _check(run, "-c", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml: No such file or directory" in result.output
    assert _check(run, "-c", ".").exit_code == 2


def test_the_environment_is_looked_at(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTGATE__LISTENERS__PUBLIC__PORT", "9090")
    assert "found port" in _check(run).output
    monkeypatch.setenv("TENANTGATE__LISTENERS__PUBLIC__PORT", "9091")
    assert _check(run).exit_code == 0


def test_words_of_the_file_are_not_markup(run: CliRunner) -> None:
    Path("gateway.yaml").write_text(RIGHT.replace("builtin: jwks", "builtin: '[bold]jwks[/bold]'"))
    assert 'found "[bold]jwks[/bold]"' in _check(run).output


def test_long_messages_are_not_wrapped(run: CliRunner) -> None:
    Path("gateway.yaml").write_text(RIGHT + "x" * 200 + ": 1\n")
    assert len(_check(run).output.splitlines()) == 1


def test_the_schema_is_printed_as_it_is_committed(run: CliRunner) -> None:
    result = run.invoke(app, ["schema"])
    assert result.exit_code == 0
    assert result.output == (ROOT / "config" / "gateway.schema.json").read_text("utf-8")


def test_the_module_is_the_command(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(RIGHT.replace("public", "pubic"))
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "-c", str(tmp_path / "gateway.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "Did you mean public?" in ran.stdout
    assert "\x1b[" not in ran.stdout
