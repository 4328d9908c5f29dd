"""`tenantgate bench`: what a request of one's own costs, through a gateway that runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


Headers = Annotated[list[str] | None, typer.Option("-H", "--header", help="A header, `Name: value`; as often as needed.")]
Connections = Annotated[int, typer.Option(min=1, max=1024, help="So many requests are under way at any time.")]
Seconds = Annotated[float, typer.Option("--seconds", "-d", min=0.1, max=300, help="How long.")]
Method = Annotated[str | None, typer.Option(help="Default: GET, or POST where there are data.")]
Data = Annotated[str | None, typer.Option(help="Body of the request, or `@file`.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The gateway's configuration: its admin listener tells processor time and calls of the store."
    ),
]
Pid = Annotated[
    int | None, typer.Option(min=1, help="The gateway's process: its processor time is taken from the system (Linux).")
]


def bench(
    url: Annotated[str, typer.Argument(help="The whole URL, as it is to be requested.")],
    header: Headers = None,
    connections: Connections = 64,
    seconds: Seconds = 5,
    method: Method = None,
    data: Data = None,
    config: Config = None,
    pid: Pid = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs.")] = Output.TABLE,
) -> None:
    """Send one request over and over, and tell how fast it is answered and what it costs the gateway.

    First it is sent once: where the answer is not one of 2xx, that is told, and nothing is timed. Each request counts against
    limits as any other does. Exits with 0 where there are figures, else with 1.
    """
    import uvloop

    from .cost import CostUnknown, costs
    from .load import Unreachable
    from .request import Request
    from .run import NotWelcome, run

    try:
        request = Request.of(url, header or [], method, data)
    except (OSError, ValueError) as fault:
        raise typer.BadParameter(str(fault)) from fault
    try:
        report = uvloop.run(run(request, connections, seconds, costs(config, pid), lambda text: typer.echo(text, err=True)))
    except (CostUnknown, NotWelcome, Unreachable) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
    typer.echo(report.json() if output is Output.JSON else report.text())
    raise typer.Exit(0 if report.answers else 1)
