"""`tenantgate export` and `tenantgate import`: the whole state, into a file and out of it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from .calling import ADMIN, AdminKeyFile, AdminUrl, ask_operator, read_secret

if TYPE_CHECKING:
    from gateway.client import Operator

_PIECE = 64 << 10

ExportKeyFile = Annotated[
    Path | None,
    typer.Option(help="File that holds the export's key, 32 bytes in base64. Without it no secret is in the export."),
]


def export(
    file: Annotated[Path, typer.Argument(help="Where to. One that is there, and has no end yet, is gone on with.")],
    admin_url: AdminUrl = ADMIN,
    admin_key_file: AdminKeyFile = None,
    export_key_file: ExportKeyFile = None,
) -> None:
    """Write the whole state of a running gateway down, as JSON lines, for the owner of the file only.

    Exits with 0 where all of it is in the file. Where it breaks off, the same command goes on.
    """
    key = None if export_key_file is None else read_secret("", export_key_file)
    with open(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as out:
        complete, last = _written(out)
        if complete:
            typer.echo(f"{file} is there already, and complete", err=True)
            raise typer.Exit(1)

        async def write(operator: Operator) -> int:
            count = 0
            async for line in operator.export(key, last):
                # The head is there already.
                if last is None or not line.startswith(b'{"kind":"tenantgate"'):
                    out.write(line + b"\n")
                    count += 1
            return count

        lines = ask_operator(write, admin_url, admin_key_file)
    typer.echo(f"{file}: {lines} lines{'' if last is None else f' after the tenant {last}'}", err=True)


def import_(
    file: Annotated[Path, typer.Argument(help="What `tenantgate export` has written.", exists=True, dir_okay=False)],
    admin_url: AdminUrl = ADMIN,
    admin_key_file: AdminKeyFile = None,
    export_key_file: ExportKeyFile = None,
) -> None:
    """Put an export into a running gateway. What is there already stays; where it breaks off, the same command goes on.

    Exits with 0 where all of it is there then, else with 1.
    """
    key = None if export_key_file is None else read_secret("", export_key_file)

    async def pieces() -> AsyncIterator[bytes]:
        with file.open("rb") as lines:
            while piece := lines.read(_PIECE):
                yield piece

    report = ask_operator(lambda operator: operator.restore(pieces(), key), admin_url, admin_key_file)
    for conflict in report["conflicts"]:
        typer.echo(f"{file}:{conflict['line']}: {conflict['reason']}", err=True)
    typer.echo(
        f"{report['restored']} lines restored, {report['present']} were there, {report['conflicting']} can't be", err=True
    )
    if not report["complete"]:
        typer.echo(f"{file} has no end: its export broke off", err=True)
    raise typer.Exit(0 if report["complete"] and not report["conflicting"] else 1)


def _written(out: BinaryIO) -> tuple[bool, str | None]:
    """Whether an export is complete, and else the last tenant of what there is; what comes after that one is cut off."""
    last, end, at = None, 0, 0
    for line in out:
        at += len(line)
        if line.startswith(b'{"kind":"end"') and line.endswith(b"\n"):
            return True, last
        if line.startswith(b'{"kind":"tenant",') and line.endswith(b"\n"):
            last, end = str(json.loads(line)["id"]), at
    out.seek(end)
    out.truncate()
    return False, last
