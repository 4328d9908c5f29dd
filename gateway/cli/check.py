"""`tenantgate check` and `tenantgate schema`: is this gateway.yaml right, and what may stand in one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.settings.fault import Fault

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration.", envvar="TENANTGATE_CONFIG")]


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


def check(
    config: Config = Path("gateway.yaml"),
    output: Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs.")] = Output.TEXT,
) -> None:
    """Tell everything that is wrong with a configuration: file, line, column, what was found, what was expected.

    Exits with 0 where nothing is wrong, with 1 where something is, with 2 where the file can't be read.
    """
    import os

    from gateway.settings.fault import Faults
    from gateway.settings.load import load

    faults: Sequence[Fault] = ()
    try:
        load(config, os.environ)
    except Faults as error:
        faults = error.faults
    except OSError as error:
        typer.echo(f"{config}: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    if output is Output.JSON:
        _print_json(faults)
    else:
        _print_text(config, faults)
    raise typer.Exit(1 if faults else 0)


def schema() -> None:
    """Print the JSON Schema of gateway.yaml, for editors."""
    from gateway.settings.json_schema import schema_text

    typer.echo(schema_text(), nl=False)


def _print_text(config: Path, faults: Sequence[Fault]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if not faults:
        console.print(Text.assemble((f"{config}: ", "bold"), ("valid", "green")))
    for fault in faults:
        console.print(
            Text.assemble(
                (f"{fault.place}: ", "bold"),
                ("found ", "dim"),
                (fault.found, "red"),
                (", expected ", "dim"),
                (fault.expected, "green"),
                ".",
                (f" {fault.hint}" if fault.hint else "", "cyan"),
            )
        )


def _print_json(faults: Sequence[Fault]) -> None:
    import json
    from dataclasses import asdict

    told = [asdict(fault.place) | {"found": fault.found, "expected": fault.expected, "hint": fault.hint} for fault in faults]
    typer.echo(json.dumps({"valid": not faults, "faults": told}, indent=2, ensure_ascii=False))
