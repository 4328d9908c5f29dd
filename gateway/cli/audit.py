"""`tenantgate audit`: the trail of changes, listed, taken out of the gateway, and checked there."""

from __future__ import annotations

import json
from io import SEEK_END
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from .admin import ADMIN, AdminUrl, NotDone, Org, admin_at, called, refusal

audit = typer.Typer(name="audit", help="The trail of changes.", no_args_is_help=True)


_LAST = 64 << 10
_PAGE = 500


@audit.command("list")
def list_entries(
    tenant: Annotated[str | None, typer.Option(help="Entries about the tenant with this id only.")] = None,
    action: Annotated[str | None, typer.Option(help="Entries of this action only, such as tenant.suspended.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before this: 2026-06-21T11:00:00Z, or 2026-06-21.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    org: Org = None,
    admin_url: AdminUrl = ADMIN,
) -> None:
    """Print entries, the newest first, a line of JSON for each."""
    query = {"org": org, "tenant_id": tenant, "action": action, "since": since, "until": until}
    before: int | None = None
    with admin_at(admin_url) as admin:
        while limit > 0:
            page = called(admin, "GET", "fetch/audit", query={**query, "limit": min(limit, _PAGE), "before": before})
            for entry in page["entries"]:
                typer.echo(json.dumps(entry, ensure_ascii=False))
            limit, before = limit - len(page["entries"]), page["next_before"]
            if before is None:
                return


@audit.command()
def export(
    file: Annotated[Path, typer.Argument(help="JSON lines. What is new is appended to what it has already.")],
    org: Org = None,
    admin_url: AdminUrl = ADMIN,
) -> None:
    """Take the trail out of a running gateway, and go on where the file ends."""
    with admin_at(admin_url) as admin, file.open("a+b") as kept:
        query = {"after": str(_last(kept, file)), **({} if org is None else {"org": org})}
        with admin.stream("GET", "export/audit", params=query) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for piece in answer.iter_bytes():
                kept.write(piece)


def _last(kept: BinaryIO, file: Path) -> int:
    """The number of the last entry; what was written of one when an export broke off is taken away. Raises NotDone."""
    size = kept.seek(0, SEEK_END)
    kept.seek(max(0, size - _LAST))
    *lines, rest = kept.read().split(b"\n")
    if size == 0:
        return 0
    try:
        last = int(json.loads(lines[-1])["seq"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise NotDone(f"{file} does not end with an entry of an audit trail") from None
    kept.truncate(size - len(rest))
    return last


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
