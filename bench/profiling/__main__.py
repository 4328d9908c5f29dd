"""`bench/profile`: where each microsecond of a hot request goes, sockets left out."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer

from .apart import apart
from .batches import measure
from .inside import Caller, inside
from .overhead import overhead
from .page import Hot, Page, rewritten
from .shares import shares
from .stages import Way
from .transports import Client, MemoryLoop, Refused

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE, _PLOT = _DOCS / "profile.md", _DOCS / "profile.svg"
_TENANTS, _ROUNDS = 20, 40
# Requests of each tenant after which all is known that can be.
_WARM = 20


def main(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each kind of request is measured.")] = 5,
    write: Annotated[bool, typer.Option("--write", help="Write tables and plot into docs/profile.md.")] = False,
) -> None:
    """Where each microsecond of a hot request goes, sockets left out."""
    # That its store may lose what was written is of no concern here.
    logging.disable(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=MemoryLoop) as runner:
            page = runner.run(profile(seconds, _TENANTS, _ROUNDS))
    except Refused as fault:
        typer.echo(f"No profile, since a request was not answered with 200:\n{fault}", err=True)
        raise typer.Exit(1) from fault
    typer.echo(page.text(), nl=False)
    if write:
        _PAGE.write_text(rewritten(_PAGE.read_text(), page.text()))
        _PLOT.write_text(page.plot().svg())


async def profile(seconds: float, tenants: int, rounds: int) -> Page:
    """Run within a MemoryLoop. `rounds`: of what lies off the hot path. Raises Refused."""
    async with inside(tenants) as gateway:
        client, hot = Client(gateway.gateway), []
        for name, way, requests in (
            ("JWT", Way.SHORT_CUT, cycle([caller.by_token() for caller in gateway.callers])),
            ("API key", Way.SHORT_CUT, cycle([caller.by_key() for caller in gateway.callers])),
            ("JWT, new head", Way.WALK, _new_heads(gateway.callers)),
        ):
            measured = await measure(client, requests, _WARM * tenants, seconds)
            hot.append(Hot(name, way, measured, shares(measured, overhead())))
        return Page(_machine(), hot, await apart(gateway, rounds))


def _new_heads(callers: Sequence[Caller]) -> Iterator[bytes]:
    """Each has a header that no other has, as that of a trace would be."""
    for number, caller in enumerate(cycle(callers)):
        yield caller.by_token(f"\r\nX-Trace: {number:016x}")


def _machine() -> str:
    python, system = platform.python_version(), platform.system()
    ended, load = datetime.now(UTC), os.getloadavg()[0]
    return f"{ended:%Y-%m-%d %H:%M} UTC, Python {python} on {system}, {os.cpu_count()} processors, load {load:.1f} at the end."


if __name__ == "__main__":
    typer.run(main)
