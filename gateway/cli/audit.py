"""`tenantgate audit`: audit trails that are kept outside of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

audit = typer.Typer(name="audit", help="Audit trails that are kept outside of the gateway.", no_args_is_help=True)


@audit.callback()
def _commands() -> None:
    pass


@audit.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSON lines, as `GET /api/v1/audit/export` gives them.", exists=True)],
    head: Annotated[str | None, typer.Option(help="A hash that was kept: some entry has to have it.")] = None,
) -> None:
    """Check that an exported trail is as it was written: nothing altered, nothing missing in it."""
    from gateway.registry.audit_verify import verify_export

    with file.open("rb") as lines:
        verdict = verify_export(lines, head)
    if verdict.broken is not None:
        typer.echo(f"{file}: entry {verdict.broken} does not hold: {verdict.fault}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{file}: intact, entries {verdict.first} to {verdict.last}, head {verdict.head}")
