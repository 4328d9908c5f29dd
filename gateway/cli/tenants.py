"""`tenantgate tenants`: a platform's tenants, through its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from .calling import PUBLIC, KeyFile, Output, OutputForm, Url, ask, collected, show, show_all

if TYPE_CHECKING:
    from gateway.client.answers import NewTenant, TenantChange, TenantFilter

tenants = typer.Typer(name="tenants", help="A platform's tenants: TENANTGATE_KEY holds its key.", no_args_is_help=True)

TenantId = Annotated[str, typer.Argument(help="Id of the tenant, in either form.")]
Plan = Annotated[str | None, typer.Option(help="A plan of gateway.yaml.")]
Region = Annotated[str | None, typer.Option(help="Which of an upstream's targets serve it.")]


@tenants.command("list")
def list_(
    ref: Annotated[str | None, typer.Option(help="The one with your own id.")] = None,
    status: Annotated[str | None, typer.Option(help="Only `active`, `suspended`, `archived` … ones.")] = None,
    q: Annotated[str | None, typer.Option(help="Words of name, slug and reference, by their beginnings.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List tenants, the newest first."""
    given = {name: value for name, value in (("external_ref", ref), ("status", status), ("q", q)) if value is not None}
    filters = cast("TenantFilter", given)
    found = ask(lambda client: collected(client.tenants.list(**filters), limit), url, key_file)
    show_all(found, ("id", "slug", "name", "status", "plan", "external_ref"), output)


@tenants.command("show")
def show_(tenant_id: TenantId, url: Url = PUBLIC, key_file: KeyFile = None) -> None:
    """Show a tenant."""
    show(ask(lambda client: client.tenants.get(tenant_id), url, key_file))


@tenants.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    slug: Annotated[str | None, typer.Option(help="Default: made from the name.")] = None,
    ref: Annotated[str | None, typer.Option(help="Your own id of it.")] = None,
    plan: Plan = None,
    region: Region = None,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Make a tenant."""
    fields: NewTenant = {"name": name, "slug": slug, "external_ref": ref, "plan": plan, "region": region}
    show(ask(lambda client: client.tenants.create(**fields), url, key_file))


@tenants.command()
def update(
    tenant_id: TenantId,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    plan: Plan = None,
    region: Region = None,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Change what is named; the rest stays as it is."""
    fields: TenantChange = {}
    if name is not None:
        fields["name"] = name
    if plan is not None:
        fields["plan"] = plan
    if region is not None:
        fields["region"] = region
    show(ask(lambda client: client.tenants.update(tenant_id, **fields), url, key_file))


@tenants.command()
def suspend(
    tenant_id: TenantId,
    reason: Annotated[str | None, typer.Option(help="What it is told.")] = None,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Refuse a tenant's calls until it is unsuspended."""
    show(ask(lambda client: client.tenants.suspend(tenant_id, reason), url, key_file))


@tenants.command()
def unsuspend(tenant_id: TenantId, url: Url = PUBLIC, key_file: KeyFile = None) -> None:
    """Lift a suspension."""
    show(ask(lambda client: client.tenants.unsuspend(tenant_id), url, key_file))


@tenants.command()
def archive(tenant_id: TenantId, url: Url = PUBLIC, key_file: KeyFile = None) -> None:
    """Refuse a tenant's calls for good, and keep its data."""
    show(ask(lambda client: client.tenants.archive(tenant_id), url, key_file))


@tenants.command()
def quota(
    tenant_id: TenantId,
    cap: Annotated[list[str], typer.Argument(help="`monthly_email_cap=5000`; without a number: unlimited.")],
    url: Url = PUBLIC,
    key_file: KeyFile = None,
) -> None:
    """Bound what a tenant may use in a month."""
    pairs = [one.partition("=") for one in cap]
    if not all((number.isascii() and number.isdigit()) or not number for _, _, number in pairs):
        raise typer.BadParameter("a cap is a name, =, and a whole number or nothing")
    caps = {name: int(number) if number else None for name, _, number in pairs}
    show(ask(lambda client: client.tenants.set_quota(tenant_id, **caps), url, key_file))
