"""What commands share that call the operator API of a running gateway."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import httpx

ADMIN = "http://127.0.0.1:9090"
AdminUrl = Annotated[str, typer.Option(help="The admin listener.", envvar="TENANTGATE_ADMIN_URL")]
Org = Annotated[str | None, typer.Option(help="The organization; by default the first of gateway.yaml.")]

_KEY = "TENANTGATE_ADMIN_KEY"
_TIMEOUT = 30.0


class NotDone(Exception):
    """What the gateway has refused, in its words."""


@contextmanager
def admin_at(url: str) -> Iterator[httpx.Client]:
    """With the key of TENANTGATE_ADMIN_KEY. What fails inside is told, and ends the command with 1."""
    import httpx

    try:
        with httpx.Client(
            base_url=f"{url}/api/v1/", headers={"X-Admin-Key": os.environ.get(_KEY, "")}, timeout=_TIMEOUT
        ) as admin:
            yield admin
    except (NotDone, httpx.HTTPError, OSError) as fault:
        typer.echo(str(fault) or type(fault).__name__, err=True)
        raise typer.Exit(1) from None


# Any: JSON.
def called(
    admin: httpx.Client,
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int | None] | None = None,
    body: Mapping[str, object] | None = None,
) -> Any:
    """What stands below `data`. Raises NotDone."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    answer = admin.request(method, path, params=given, json=body)
    if not answer.is_success:
        raise refusal(answer)
    return answer.json()["data"]


def refusal(answer: httpx.Response) -> NotDone:
    """Of an answer that was read."""
    try:
        document = answer.json()
        faults = "".join(f"\n  {error['field']}: {error['message']}" for error in document.get("errors", ()))
        return NotDone(f"{document['code']}: {document['message']}{faults}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return NotDone(f"{answer.url.copy_with(query=None)} answers {answer.status_code}, not as the operator API does")
