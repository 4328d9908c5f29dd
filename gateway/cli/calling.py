"""What commands that call a running gateway share: where it is, with which key, and how answers and refusals are shown."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.client import Client, Operator

_KEY, _ADMIN_KEY = "TENANTGATE_KEY", "TENANTGATE_ADMIN_KEY"

Url = Annotated[str, typer.Option(help="The public listener.", envvar="TENANTGATE_URL")]
KeyFile = Annotated[Path | None, typer.Option(help=f"File that holds the API key. Default: the variable {_KEY}.")]
AdminUrl = Annotated[str, typer.Option(help="The admin listener.", envvar="TENANTGATE_ADMIN_URL")]
AdminKeyFile = Annotated[Path | None, typer.Option(help=f"File that holds the admin key. Default: the variable {_ADMIN_KEY}.")]
PUBLIC, ADMIN = "http://127.0.0.1:8080", "http://127.0.0.1:9090"

T = TypeVar("T")


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputForm = Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs: a line of JSON for each.")]


def ask(work: Callable[[Client], Awaitable[T]], url: str, key_file: Path | None) -> T:
    """What `work` gives. Raises typer.Exit(1), with the refusal told."""
    from gateway.client import Client

    async def called() -> T:
        async with Client(url, read_secret(_KEY, key_file)) as client:
            return await work(client)

    return told(called)


def ask_operator(work: Callable[[Operator], Awaitable[T]], url: str, key_file: Path | None) -> T:
    """Likewise, of the operators' API."""
    from gateway.client import Operator

    async def called() -> T:
        async with Operator(url, read_secret(_ADMIN_KEY, key_file)) as operator:
            return await work(operator)

    return told(called)


def told(work: Callable[[], Awaitable[T]]) -> T:
    from gateway.client import Refusal, Unreachable

    async def run() -> T:
        return await work()

    try:
        return asyncio.run(run())
    except Refusal as refusal:
        typer.echo(str(refusal), err=True)
        for fault in refusal.errors:
            typer.echo(f"  {fault.get('field')}: {fault.get('message')}", err=True)
        if refusal.request_id:
            typer.echo(f"  request {refusal.request_id}", err=True)
    except (Unreachable, OSError) as fault:
        typer.echo(str(fault), err=True)
    raise typer.Exit(1)


async def collected(listed: AsyncIterator[T], limit: int) -> list[T]:
    found: list[T] = []
    async for one in listed:
        found.append(one)
        if len(found) == limit:
            break
    return found


def read_secret(variable: str, file: Path | None) -> str:
    """From a file or a variable: on the command line other users and the shell's history would see it.

    Raises typer.BadParameter.
    """
    try:
        secret = os.environ.get(variable, "") if file is None else file.read_text("ascii")
    except (OSError, ValueError) as fault:
        raise typer.BadParameter(str(fault)) from fault
    if not secret.strip():
        raise typer.BadParameter(f"no key: name its file, or set {variable}")
    return secret.strip()


def show(document: Mapping[str, object]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def show_all(documents: Sequence[Mapping[str, object]], columns: Sequence[str], output: Output) -> None:
    """`columns` are those of the table."""
    if output is Output.JSON:
        for document in documents:
            typer.echo(json.dumps(document, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for document in documents:
        table.add_row(*(_cell(document.get(column)) for column in columns))
    Console(highlight=False, soft_wrap=True).print(table, markup=False)


def _cell(value: object) -> str:
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
