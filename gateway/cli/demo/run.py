"""The demo from its start to its end: tenants, the clinic, the gateway, and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
import uvloop
from rich.console import Console

from gateway.cli.private_file import write_private
from gateway.cli.token import token_of
from gateway.server import Cannot
from gateway.settings.fault import Faults
from gateway.settings.load import load
from gateway.settings.schema import Settings
from gateway.telemetry.logs import configure
from gateway.workers.parent import serve_by

from .backend import Clinic, email_of_manager, started
from .ports import Ports
from .state import State, Unusable, opened, shipped
from .tenants import Provision, provide
from .tour import tour

_TOKEN_SECONDS = 86400


def run(folder: Path, ready_file: Path | None, workers: int) -> None:
    """Raises typer.Exit(1), with the reason told, where it does not start."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    progress = Console(stderr=True, highlight=False)
    try:
        with opened(folder) as state, _logging_to(state.folder / "gateway.log") as out:
            _run(state, ready_file, workers, progress, out)
    except (Faults, Unusable, OSError) as fault:
        _fail(progress, fault)
    except Cannot as fault:
        _fail(progress, fault)
    progress.print("Everything has stopped.")


def _run(state: State, ready_file: Path | None, workers: int, progress: Console, out: Console) -> None:
    config, ports = shipped("gateway.yaml"), Ports()
    environ = {**os.environ, **_gateway_variables(state, ports)}
    with progress.status("Providing tenants …"):
        settings = load(config, environ)
        provision = uvloop.run(provide(settings, state))
    _done(progress, f"{len(provision.tenants)} tenants are there, with their credentials")
    with contextlib.ExitStack() as stack:
        with progress.status("Starting the clinic and its PostgreSQL …"):
            clinic = stack.enter_context(started(state, settings, provision))
        _done(progress, f"the clinic answers at {clinic.url}")

        def ready(public_url: str, admin_url: str) -> None:
            _done(progress, f"the gateway serves at {public_url}, and operators at {admin_url}")
            _show(state, provision, public_url, out)
            if ready_file is not None:
                write_private(ready_file, json.dumps(_ready(settings, provision, public_url, admin_url), indent=2))
            progress.print(f"Logs are in {state.folder}. Ctrl-C ends the demo.", markup=False, soft_wrap=True)

        ports.release()
        uvloop.run(_serve(load(config, {**environ, "CLINIC_URL": clinic.url}), workers, ready, clinic))
        progress.print("Stopping …")


async def _serve(settings: Settings, workers: int, ready: Callable[[str, str], None], clinic: Clinic) -> None:
    """Raises Unusable where the clinic has ended by itself."""
    loop, ended = asyncio.get_running_loop(), False

    def end() -> None:
        nonlocal ended
        ended = True
        loop.remove_reader(clinic.output)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(clinic.output, end)
    try:
        # All of the gateway's lines go into one file, which is standard output for now.
        await serve_by(workers, settings, ready, logs=sys.stdout)
    finally:
        loop.remove_reader(clinic.output)
        if ended:
            raise Unusable(f"the clinic has ended; see {clinic.log}")


def _gateway_variables(state: State, ports: Ports) -> Mapping[str, str]:
    """The variables of the demo's gateway.yaml, and the keys that the demo sets over it."""
    return {
        **state.secrets,
        "TENANTGATE__STORE__DATA_DIR": str(state.folder / "store"),
        "TENANTGATE__LISTENERS__PUBLIC__PORT": str(ports.public),
        "TENANTGATE__LISTENERS__ADMIN__PORT": str(ports.admin),
    }


def _show(state: State, provision: Provision, url: str, out: Console) -> None:
    first = provision.tenants[0]
    secret_file = state.folder / "signing.secret"
    write_private(secret_file, first.secret)
    out.print("\nPaste into another terminal:")
    for number, stop in enumerate(
        tour(url, email_of_manager(first), state.secrets["DEMO_PASSWORD"], provision, secret_file), 1
    ):
        out.print(f"\n# {number}. {stop.shows}\n{stop.line}", markup=False, soft_wrap=True)
    out.print()


def _ready(settings: Settings, provision: Provision, public_url: str, admin_url: str) -> dict[str, object]:
    issuer = settings.identity.issuers["clinic"]
    return {
        "public_url": public_url,
        "admin_url": admin_url,
        "admin_key": next(iter(settings.secrets.admin_keys.values())).get_secret_value(),
        "platform_key": provision.platform_key,
        "tenants": [
            {
                "slug": one.tenant.slug,
                "id": str(one.tenant.id),
                "plan": one.tenant.plan,
                "jwt": token_of(issuer, tenant=one.tenant.slug, subject="1", role="manager", expires_in=_TOKEN_SECONDS),
                "secret": one.secret,
                "widget_key": one.widget_key,
                "api_key": one.api_key,
            }
            for one in provision.tenants
            if one.tenant.status.value == "active"
        ],
    }


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[Console]:
    """The gateway logs into a file, so that the terminal stays readable; what is yielded still writes to the terminal."""
    out = Console(highlight=False)
    out.file = sys.stdout
    with path.open("w") as log, contextlib.redirect_stdout(log):
        configure(log)
        yield out


def _fail(progress: Console, fault: Exception) -> NoReturn:
    progress.print(f"The demo does not start: {fault}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1) from fault


def _done(progress: Console, text: str) -> None:
    progress.print(f"[green]✓[/] {text}", soft_wrap=True)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """Before and after the gateway serves; meanwhile it has handlers of its own."""
    raise SystemExit(0)
