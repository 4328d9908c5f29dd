"""`tenantgate serve`: the gateway itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .private_file import write_private

ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="The configuration.", envvar="TENANTGATE_CONFIG")]
ReadyFile = Annotated[
    Path | None, typer.Option("--ready-file", help="Written as JSON, with both URLs, once requests are served.")
]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes that serve.", envvar="TENANTGATE_WORKERS")]


def serve(config: ConfigPath = Path("gateway.yaml"), ready_file: ReadyFile = None, workers: Workers = 1) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    import uvloop

    from gateway.server import Cannot
    from gateway.settings.load import load
    from gateway.telemetry.logs import configure
    from gateway.workers.parent import serve_by

    def ready(public_url: str, admin_url: str) -> None:
        typer.echo(f"public {public_url}  admin {admin_url}", err=True)
        if ready_file is not None:
            write_private(ready_file, json.dumps({"public_url": public_url, "admin_url": admin_url}, indent=2))

    configure(sys.stderr)
    try:
        uvloop.run(serve_by(workers, load(config, os.environ), ready, logs=sys.stderr))
    except Cannot as fault:
        typer.echo(f"tenantgate does not start:\n{fault}", err=True)
        raise typer.Exit(1) from fault
