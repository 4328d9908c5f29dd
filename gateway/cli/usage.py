"""`tenantgate usage`: what tenants have used, shown, and told to who bills it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.billing.format import Format, document_of

from .admin import ADMIN, AdminUrl, NotDone, Org, admin_at, called

if TYPE_CHECKING:
    import httpx

    from gateway.billing.use import Use

_VARIABLE = "TENANTGATE_BILLING_TOKEN"
_ACCEPTED_AT_ONCE = 500
_TIMEOUT = 30.0

usage = typer.Typer(name="usage", help="What tenants have used.", no_args_is_help=True)


@usage.command()
def export(
    period: Annotated[str, typer.Option(help="A calendar month in UTC, such as 2026-04.")],
    form: Annotated[Format, typer.Option("--format", help="Meter events of Stripe, or CloudEvents.")],
    org: Org = None,
    sink: Annotated[
        str | None, typer.Option(help="Your name of the receiver: each is told everything. Default: the format.")
    ] = None,
    to: Annotated[str | None, typer.Option("--post", help="URL to send them to; without it they are printed.")] = None,
    admin_url: AdminUrl = ADMIN,
) -> None:
    """Tell what was used on days that are over, each unit once, however often this is run.

    The admin key is read from TENANTGATE_ADMIN_KEY, the receiver's bearer token from TENANTGATE_BILLING_TOKEN. What is printed
    counts as not sent: it is told again, unaltered, until it was posted.
    """
    import httpx

    from gateway.billing.post import NotTaken, post

    token = os.environ.get(_VARIABLE)
    receiver = httpx.Client(headers={} if token is None else {"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT)
    told = {"period": period, "sink": sink or form.value, "customers_only": form is Format.STRIPE}
    count = units = 0
    with admin_at(admin_url) as admin, receiver:
        for page in _pages(admin, told if org is None else {**told, "org": org}):
            if to is None:
                for use in page:
                    typer.echo(document_of(use, form))
                continue
            arrived: list[Use] = []
            try:
                for some in post(receiver, to, form, page):
                    arrived += some
            except NotTaken as fault:
                raise NotDone(f"the rest waits for the next run: {fault}") from None
            finally:
                # Whatever stops it: what has arrived is not sent again.
                _accept(admin, told["sink"], arrived)
            count, units = count + len(arrived), units + sum(use.units for use in arrived)
    if to is not None:
        typer.echo(f"{count} events, {units} units", err=True)


@usage.command()
def show(
    tenant: Annotated[str, typer.Argument(help="The tenant's id.")],
    period: Annotated[str | None, typer.Option(help="A calendar month in UTC; by default the present one.")] = None,
    by_key: Annotated[bool, typer.Option(help="What each API key has used, too.")] = False,
    by_day: Annotated[bool, typer.Option(help="What was used on each day, too.")] = False,
    admin_url: AdminUrl = ADMIN,
) -> None:
    """Show what a tenant has used, as JSON."""
    query = {
        "tenant_id": tenant,
        "period": period,
        "group_by": "key" if by_key else None,
        "granularity": "day" if by_day else None,
    }
    with admin_at(admin_url) as admin:
        typer.echo(json.dumps(called(admin, "GET", "fetch/usage", query=query), indent=2))


def _pages(admin: httpx.Client, told: dict[str, Any]) -> Iterator[list[Use]]:
    cursor: dict[str, str] = {}
    while True:
        data = called(admin, "POST", "export/usage", body={**told, **cursor})
        yield [_use(event) for event in data["events"]]
        if data["next_cursor"] is None:
            return
        cursor = {"cursor": data["next_cursor"]}


def _accept(admin: httpx.Client, sink: object, arrived: Sequence[Use]) -> None:
    for start in range(0, len(arrived), _ACCEPTED_AT_ONCE):
        some = arrived[start : start + _ACCEPTED_AT_ONCE]
        events = [
            {"tenant_id": use.tenant_id, "metric": use.metric, "day": use.day.isoformat(), "up_to": use.end} for use in some
        ]
        called(admin, "POST", "accept/usage", body={"sink": sink, "events": events})


def _use(event: dict[str, Any]) -> Use:
    from gateway.billing.use import Use
    from gateway.tenancy.ids import parse_id

    tenant = parse_id("tnt", event["tenant_id"])
    assert tenant is not None, "the gateway names tenants by their ids"
    start, day = event["up_to"] - event["units"], date.fromisoformat(event["day"])
    return Use(event["org"], tenant, event["stripe_customer_id"], event["metric"], day, start, event["up_to"])
