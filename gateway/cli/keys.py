"""`tenantgate keys`: a platform's API keys and those of its tenants, through its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .calling import PUBLIC, KeyFile, Output, OutputForm, Url, ask, collected, show, show_all

if TYPE_CHECKING:
    from gateway.client.answers import NewKey

keys = typer.Typer(
    name="keys", help="API keys, of a platform and its tenants: TENANTGATE_KEY holds the platform's.", no_args_is_help=True
)

KeyId = Annotated[str, typer.Argument(help="Id of the key.")]
Tenant = Annotated[str | None, typer.Option(help="Id of a tenant, in either form.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@keys.command("list")
def list_(
    tenant: Tenant = None, limit: Limit = 100, url: Url = PUBLIC, key_file: KeyFile = None, output: OutputForm = Output.TABLE
) -> None:
    """List keys, the newest first: all of the organization, or those of a tenant."""
    found = ask(lambda client: collected(client.keys.list(tenant), limit), url, key_file)
    show_all(found, ("id", "name", "environment", "last_four", "tenant_id", "scopes", "expires_at", "revoked_at"), output)


@keys.command("show")
def show_(key_id: KeyId, url: Url = PUBLIC, key_file: KeyFile = None) -> None:
    """Show a key, without its text."""
    show(ask(lambda client: client.keys.get(key_id), url, key_file))


@keys.command()
def mint(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    tenant: Tenant = None,
    test: Annotated[bool, typer.Option("--test", help="For the environment `test`.")] = False,
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; several are possible. Default: all.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="Such as 2027-01-01T00:00:00Z.")] = None,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Mint a key, a platform's or with `--tenant` that tenant's. Its text is shown only this once."""
    fields: NewKey = {"name": name, "tenant_id": tenant, "scopes": scope, "expires_at": expires_at}
    fields["environment"] = "test" if test else "live"
    show(ask(lambda client: client.keys.mint(**fields), url, key_file))


@keys.command()
def roll(
    key_id: KeyId,
    overlap: Annotated[int, typer.Option(min=0, help="Seconds for which the old one is good.")] = 0,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Mint a new key in the place of another. Its text is shown only this once."""
    show(ask(lambda client: client.keys.roll(key_id, overlap), url, key_file))


@keys.command()
def revoke(key_id: KeyId, url: Url = PUBLIC, key_file: KeyFile = None) -> None:
    """Revoke a key: it is refused everywhere when this has answered."""
    show(ask(lambda client: client.keys.revoke(key_id), url, key_file))
