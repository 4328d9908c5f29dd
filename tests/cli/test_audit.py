"""`tenantgate audit verify`: what an export that was kept has to be like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.audit import audit
from gateway.registry.audit_entry import canonical, chained


def exported(count: int) -> list[bytes]:
    lines: list[bytes] = []
    prev = ""
    for seq in range(1, count + 1):
        entry = chained(canonical({"action": "tenant.created", "actor": "Zoë", "version": seq}), seq, prev)
        prev = entry.hash
        lines.append(canonical({**entry.fields(), "hash": entry.hash}) + b"\n")
    return lines


def verified(tmp_path: Path, lines: list[bytes], *options: str) -> Result:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"".join(lines))
    return CliRunner().invoke(audit, ["verify", str(file), *options])


def head_of(line: bytes) -> str:
    return str(json.loads(line)["hash"])


@pytest.mark.parametrize("start", [0, 2, 4])
def test_a_trail_that_is_whole_is_told_to_be_wherever_it_begins(tmp_path: Path, start: int) -> None:
    lines = exported(5)[start:]
    result = verified(tmp_path, lines)
    assert result.exit_code == 0
    assert f"intact, entries {start + 1} to 5, head {head_of(lines[-1])}" in result.output


def test_an_empty_file_is_whole(tmp_path: Path) -> None:
    assert verified(tmp_path, []).exit_code == 0


ALTERED: list[tuple[Callable[[list[bytes]], list[bytes]], int]] = [
    (lambda lines: [*lines[:2], lines[2].replace("Zoë".encode(), b"Zoe"), *lines[3:]], 3),
    (lambda lines: lines[:2] + lines[3:], 3),
    (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
    (lambda lines: [*lines[:4], lines[4][:-20]], 5),
    (lambda lines: [*lines[:4], b"[1]\n"], 5),
    (lambda lines: [*lines[:4], b"\n"], 5),
    (lambda lines: [b"{}\n", *lines], 1),
    (lambda lines: [lines[0].replace(b'"prev":""', b'"prev":"00"'), *lines[1:]], 1),
]


@pytest.mark.parametrize(("alter", "broken"), ALTERED)
def test_what_was_altered_taken_out_or_moved_is_named(
    tmp_path: Path, alter: Callable[[list[bytes]], list[bytes]], broken: int
) -> None:
    result = verified(tmp_path, alter(exported(5)))
    assert result.exit_code == 1
    assert f"entry {broken} does not hold" in result.output


def test_a_hash_that_was_kept_has_to_be_reached(tmp_path: Path) -> None:
    lines = exported(5)
    assert verified(tmp_path, lines, "--head", head_of(lines[3])).exit_code == 0
    result = verified(tmp_path, lines[:3], "--head", head_of(lines[3]))
    assert (result.exit_code, "entry 4 does not hold: missing" in result.output) == (1, True)
