"""`tenantgate demo`: all of it on one machine: tenants, a service behind the gateway, and requests to paste."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_STATE = Path(".tenantgate/demo")


def demo(
    workers: Annotated[int, typer.Option(min=1, max=256, help="Gateway processes.")] = 1,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written as JSON once requests are served: URLs, keys, the tenants' credentials.")
    ] = None,
) -> None:
    """Start a gateway with three tenants and a service behind it, and print requests to try. Ctrl-C ends all of it.

    State is kept in .tenantgate/demo of the present folder; remove that folder to begin anew.
    """
    if ready_file is not None:
        # Before all else: whoever waits for it must not take that of an earlier run.
        ready_file.unlink(missing_ok=True)
    from .run import run

    run(_STATE, ready_file, workers)
