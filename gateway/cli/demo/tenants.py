"""The demo's tenants and their credentials: made on the first start, found again on the next ones."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from gateway.app import Gateway, open_gateway
from gateway.errors import SLUG_TAKEN, Refused
from gateway.registry.audit_entry import Actor
from gateway.registry.owner import Owner, write_owner
from gateway.registry.tenants import NewTenant
from gateway.settings.schema import Settings
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.keytext import digest_of
from gateway.tenancy.tenant import Status, Tenant

from .state import State

_TENANT_SCOPES = frozenset({"read:tenants", "read:usage"})
_ROOT_SCOPES = _TENANT_SCOPES | {"write:tenants", "write:keys", "write:domains", "write:webhooks", "read:audit"}
_PAGE = 500
_KEY_NAME = "demo"
_ACTOR = Actor("demo")


@dataclass(frozen=True, slots=True)
class Wanted:
    slug: str
    name: str
    plan: str
    status: Status = Status.ACTIVE


WANTED = (
    Wanted("avanter", "Avanter", "professional"),
    Wanted("clinica-abc", "Clínica ABC", "starter"),
    Wanted("empresa-xyz", "Empresa XYZ", "starter", Status.SUSPENDED),
)


@dataclass(frozen=True, slots=True)
class Provided:
    """A tenant, and the credentials that act for it."""

    tenant: Tenant
    api_key: str

    @property
    def secret(self) -> str:
        return self.tenant.secrets[0].value.decode()

    @property
    def widget_key(self) -> str:
        return self.tenant.widget_keys[0].value


@dataclass(frozen=True, slots=True)
class Provision:
    platform_key: str
    tenants: tuple[Provided, ...]
    """In the order of WANTED."""


async def provide(settings: Settings, state: State) -> Provision:
    """Raises what `open_gateway` raises."""
    async with open_gateway(settings) as opened:
        gateway = replace(opened, tenants=opened.tenants.by(_ACTOR), keys=opened.keys.by(_ACTOR))
        org = next(iter(settings.orgs))
        there = [tenant async for tenant in _all(gateway)]
        tenants = [await _tenant(gateway, org, wanted, there) for wanted in WANTED]
        kept = state.read_keys()
        keys: dict[str, str] = {}
        owners: list[tuple[Owner, frozenset[str]]] = [(org, _ROOT_SCOPES), *((tenant.id, _TENANT_SCOPES) for tenant in tenants)]
        for owner, scopes in owners:
            name = write_owner(owner)
            keys[name] = await _key(gateway, owner, scopes, kept.get(name))
            # At once: a key that is minted and then lost can only be revoked.
            state.write_keys(kept | keys)
    return Provision(keys[write_owner(org)], tuple(Provided(tenant, keys[write_owner(tenant.id)]) for tenant in tenants))


async def _all(gateway: Gateway) -> AsyncIterator[Tenant]:
    offset, total = 0, 1
    while offset < total:
        page, total = await gateway.tenants.page(_PAGE, offset)
        offset += _PAGE
        for tenant in page:
            yield tenant


async def _tenant(gateway: Gateway, org: str, wanted: Wanted, there: Sequence[Tenant]) -> Tenant:
    tenant = next((one for one in there if _is(one, wanted)), None) or await _created(gateway, org, wanted)
    if tenant.status is wanted.status:
        return tenant
    return await gateway.tenants.set_status(tenant.id, wanted.status, "to show what a suspended tenant is told")


def _is(tenant: Tenant, wanted: Wanted) -> bool:
    """Archived tenants keep their slugs for good; the one that came after it has a suffix."""
    named = re.fullmatch(re.escape(wanted.slug) + r"(-[a-z0-9]{6})?", tenant.slug)
    return named is not None and tenant.status is not Status.ARCHIVED


async def _created(gateway: Gateway, org: str, wanted: Wanted) -> Tenant:
    def fill(tenant: Tenant) -> Tenant:
        return replace(tenant, origins=(f"https://{tenant.slug}.example",))

    new = NewTenant(org, wanted.name, wanted.slug, plan=wanted.plan)
    try:
        return (await gateway.tenants.create(new, fill)).tenant
    except Refused as refused:
        if refused.problem is not SLUG_TAKEN:
            raise
    return (await gateway.tenants.create(replace(new, slug=None), fill)).tenant


async def _key(gateway: Gateway, owner: Owner, scopes: frozenset[str], kept: str | None) -> str:
    """The key that was kept, if it still holds, or a new one in its place: a key's text can't be had from the store."""
    for key in await gateway.keys.list(owner):
        if key.name == _KEY_NAME and not _ended(key):
            if kept is not None and key.digest == digest_of(kept) and key.scopes == scopes:
                return kept
            await gateway.keys.revoke(owner, key.id)
    return (await gateway.keys.mint(owner, _KEY_NAME, scopes, created_by="demo")).text


def _ended(key: ApiKey) -> bool:
    return key.revoked_at is not None or key.expires_at is not None
