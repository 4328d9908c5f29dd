"""`python -m bench.figures NAME`: measure, print the table, write the plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from .load import UnexpectedAnswer
from .memory import memory_of_addresses, memory_of_connections, memory_of_tenants
from .plot import Plot
from .stack import DidNotServe
from .store_calls import hot_tenants, many_tenants

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Workers = Annotated[int, typer.Option(min=1, help="Processes that serve.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long each row is measured.")]
To = Annotated[Path, typer.Option(help="Directory of the plots.")]
_TO = Path(".tenantgate/figures")


@app.command("hot-tenants")
def hot(workers: Workers = 1, seconds: Seconds = 5, to: To = _TO) -> None:
    """Store calls and processor time per request of 1, 20 and 200 tenants, each as fast as it can."""
    _show("hot-tenants", hot_tenants(workers, seconds), to)


@app.command("many-tenants")
def many(
    workers: Workers = 1,
    seconds: Seconds = 10,
    tenants: Annotated[int, typer.Option(min=1, help="How many at most.")] = 10_000,
) -> None:
    """The same of many tenants at one request a second each."""
    _show("many-tenants", many_tenants(workers, seconds, tenants), _TO)


@app.command("memory-of-tenants")
def of_tenants(to: To = _TO) -> None:
    """Memory of a worker that has seen up to 100,000 tenants."""
    _show("memory-of-tenants", memory_of_tenants(), to)


@app.command("memory-of-addresses")
def of_addresses(to: To = _TO) -> None:
    """Memory of a worker that has seen up to 40,000 client addresses of one tenant."""
    _show("memory-of-addresses", memory_of_addresses(), to)


@app.command("memory-of-connections")
def of_connections(to: To = _TO) -> None:
    """Memory of a worker with up to 10,000 open connections."""
    _show("memory-of-connections", memory_of_connections(), to)


def _show(name: str, figure: Coroutine[object, object, tuple[str, list[Plot]]], to: Path) -> None:
    typer.echo(f"{name}: Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    try:
        text, plots = uvloop.run(figure)
    except (DidNotServe, UnexpectedAnswer) as fault:
        typer.echo(f"No figure: {fault}", err=True)
        raise typer.Exit(1) from fault
    typer.echo(text)
    for plot in plots:
        to.mkdir(parents=True, exist_ok=True)
        path = to / f"{name}.svg"
        path.write_text(plot.svg())
        typer.echo(f"\n{path}")


if __name__ == "__main__":
    app(prog_name="python -m bench.figures")
