"""`tenantgate tenants`: a platform's tenants, through its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .calling import PUBLIC, KeyFile, Output, OutputForm, Url, ask, show, show_all

if TYPE_CHECKING:
    from gateway.client import Client
    from gateway.client.answers import NewTenant, Tenant, TenantChange

tenants = typer.Typer(name="tenants", help="A platform's tenants: TENANTGATE_KEY holds its key.", no_args_is_help=True)

TenantId = Annotated[str, typer.Argument(help="Id of the tenant, in either form.")]
Plan = Annotated[str | None, typer.Option(help="A plan of gateway.yaml.")]
Region = Annotated[str | None, typer.Option(help="Which of an upstream's targets serve it.")]


@tenants.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    url: Url = PUBLIC,
    key_file: KeyFile = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """List tenants, the newest first."""

    async def listed(client: Client) -> list[Tenant]:
        found: list[Tenant] = []
        async for tenant in client.tenants.list():
            found.append(tenant)
            if len(found) == limit:
                break
        return found

    show_all(ask(listed, url, key_file), ("id", "slug", "name", "status", "plan", "external_ref"), output)


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
