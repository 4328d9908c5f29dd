"""`tenantgate usage export`: what tenants have used, to who bills it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.billing.format import Format, document_of

if TYPE_CHECKING:
    import httpx

    from gateway.billing.use import Use

_ADMIN_KEY, _TOKEN = "TENANTGATE_ADMIN_KEY", "TENANTGATE_BILLING_TOKEN"
_ACCEPTED_AT_ONCE = 500
_TIMEOUT = 30.0

usage = typer.Typer(name="usage", help="What tenants have used.", no_args_is_help=True)


@usage.callback()
def _commands() -> None:
    pass


@usage.command()
def export(
    period: Annotated[str, typer.Option(help="A calendar month in UTC, such as 2026-04.")],
    form: Annotated[Format, typer.Option("--format", help="Meter events of Stripe, or CloudEvents.")],
    org: Annotated[str | None, typer.Option(help="The organization; by default the first of gateway.yaml.")] = None,
    sink: Annotated[
        str | None, typer.Option(help="Your name of the receiver: each is told everything. Default: the format.")
    ] = None,
    to: Annotated[str | None, typer.Option("--post", help="URL to send them to; without it they are printed.")] = None,
    admin_url: Annotated[
        str, typer.Option(help="The admin listener.", envvar="TENANTGATE_ADMIN_URL")
    ] = "http://127.0.0.1:9090",
) -> None:
    """Tell what was used on days that are over, each unit once, however often this is run.

    The admin key is read from TENANTGATE_ADMIN_KEY, the receiver's bearer token from TENANTGATE_BILLING_TOKEN. What is printed
    counts as not sent: it is told again, unaltered, until it was posted.
    """
    import httpx

    from gateway.billing.post import NotTaken, post

    admin = httpx.Client(base_url=admin_url, headers={"X-Admin-Key": os.environ.get(_ADMIN_KEY, "")}, timeout=_TIMEOUT)
    token = os.environ.get(_TOKEN)
    receiver = httpx.Client(headers={} if token is None else {"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT)
    told = {"period": period, "sink": sink or form.value, "customers_only": form is Format.STRIPE}
    count = units = 0
    with admin, receiver:
        try:
            for page in _pages(admin, told if org is None else {**told, "org": org}):
                if to is None:
                    for use in page:
                        typer.echo(document_of(use, form))
                    continue
                arrived: list[Use] = []
                try:
                    for some in post(receiver, to, form, page):
                        arrived += some
                finally:
                    # Whatever stops it: what has arrived is not sent again.
                    _accept(admin, told["sink"], arrived)
                count, units = count + len(arrived), units + sum(use.units for use in arrived)
        except (NotTaken, _Refused, httpx.HTTPError) as fault:
            typer.echo(f"the rest waits for the next run: {fault}", err=True)
            raise typer.Exit(1) from None
    if to is not None:
        typer.echo(f"{count} events, {units} units", err=True)


class _Refused(Exception):
    """What the gateway has refused, in its words."""


def _pages(admin: httpx.Client, told: dict[str, Any]) -> Iterator[list[Use]]:
    cursor: dict[str, str] = {}
    while True:
        data = _call(admin, "export/usage", {**told, **cursor})
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
        _call(admin, "accept/usage", {"sink": sink, "events": events})


# Any: JSON.
def _call(admin: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = admin.post(f"/api/v1/{path}", json=body)
    document = answer.json()
    if not answer.is_success:
        raise _Refused(f"{document['code']}: {document['message']}")
    return document["data"]


def _use(event: dict[str, Any]) -> Use:
    from gateway.billing.use import Use
    from gateway.tenancy.ids import parse_id

    tenant = parse_id("tnt", event["tenant_id"])
    assert tenant is not None, "the gateway names tenants by their ids"
    start, day = event["up_to"] - event["units"], date.fromisoformat(event["day"])
    return Use(event["org"], tenant, event["stripe_customer_id"], event["metric"], day, start, event["up_to"])
