"""`tenantgate audit` against a running gateway: listed, taken elsewhere in several runs, checked there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.audit import audit

from .conftest import World
from .stack import ADMIN_KEY


def run(world: World, *args: str) -> Result:
    variables = {"TENANTGATE_ADMIN_KEY": ADMIN_KEY, "TENANTGATE_ADMIN_URL": world.gateway.admin_url}
    return CliRunner(env=variables).invoke(audit, args)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_an_export_goes_on_where_the_file_ends_and_is_whole(world: World, file: Path) -> None:
    for _ in range(3):
        world.customer()
        assert run(world, "export", str(file)).exit_code == 0
    lines = file.read_bytes().splitlines(keepends=True)
    assert run(world, "verify", str(file), "--head", json.loads(lines[-1])["hash"]).exit_code == 0
    # As a run leaves it that was killed in the middle of an entry.
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:-9])
    assert run(world, "export", str(file)).exit_code == 0
    assert file.read_bytes().startswith(b"".join(lines))
    assert run(world, "verify", str(file)).exit_code == 0


@pytest.mark.parametrize("content", [b"no trail\n", b"no line", b"{}\n"])
def test_a_file_of_something_else_is_left_alone(world: World, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    result = run(world, "export", str(file))
    assert (result.exit_code, "does not end with an entry" in result.output) == (1, True)
    assert file.read_bytes() == content


def test_entries_are_listed_by_tenant_and_action_the_newest_first(world: World) -> None:
    customer = world.customer()
    for call in ("suspend", "reactivate", "suspend"):
        world.gateway.admin.post(f"/{call}/tenant", params={"tenant_id": customer.id}).raise_for_status()
    result = run(world, "list", "--tenant", customer.id, "--limit", "3")
    actions = [json.loads(line)["action"] for line in result.output.splitlines()]
    assert actions == ["tenant.suspended", "tenant.unsuspended", "tenant.suspended"]
    result = run(world, "list", "--tenant", customer.id, "--action", "tenant.created", "--since", "2020-01-01")
    assert len(result.output.splitlines()) == 1


def test_what_is_wrong_is_told(world: World) -> None:
    result = run(world, "list", "--action", "tenant.loved")
    assert (result.exit_code, "action: must be one of" in result.output) == (1, True)
