"""Tenants by the thousand: records as the registry writes them, without the rest of a creation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import jwt

from gateway.registry.cipher import Cipher
from gateway.registry.owner import write_owner
from gateway.registry.shelf import Shelf
from gateway.store.connect import Store
from gateway.tenancy.credential import SigningSecret, WidgetKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import new_signing_secret, new_widget_key
from gateway.tenancy.org import Organization
from gateway.tenancy.slug import schema_from
from gateway.tenancy.tenant import Status, Tenant

_BATCH = 500
_TOKEN_LIFE = 3 * 3600


@dataclass(frozen=True)
class Customer:
    """A tenant's slug, and a token of it."""

    slug: str
    token: str

    def request(self, path: str, fields: str = "") -> bytes:
        """A GET of `path`; `fields` are further header lines, each with its CRLF."""
        named = f"Authorization: Bearer {self.token}\r\nX-Tenant: {self.slug}\r\n"
        return f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{named}{fields}\r\n".encode()


async def provision(store: Store, encryption_key: str, jwt_secret: str, count: int) -> list[Customer]:
    """Write `count` new tenants of the organization `main`, on the plan `roomy`."""
    tenants = [new_tenant(f"tenant-{number}") for number in range(count)]
    await write(store, encryption_key, tenants)
    return [Customer(tenant.slug, _token(tenant.slug, jwt_secret)) for tenant in tenants]


async def write(store: Store, encryption_key: str, tenants: Sequence[Tenant]) -> None:
    """Write new tenants of the organization `main`, with the names by which they and their keys are found."""
    shelf = Shelf(store, Cipher(encryption_key), {"main": Organization("main", default_plan="roomy")})
    for start in range(0, len(tenants), _BATCH):
        batch = tenants[start : start + _BATCH]
        names = [(store.keys.slug(tenant.slug), tenant) for tenant in batch]
        names += [(store.keys.api_key(key.digest), tenant) for tenant in batch for key in tenant.keys]
        await store.control.gather([("SET", name, write_owner(tenant.id)) for name, tenant in names])
        await asyncio.gather(*(shelf.write(tenant, 0) for tenant in batch))


def new_tenant(slug: str) -> Tenant:
    """On the plan `roomy`, with a signing secret and a widget key."""
    now = time.time()
    return Tenant(
        id=new_id(),
        org="main",
        slug=slug,
        schema=schema_from(slug),
        name=slug.title(),
        status=Status.ACTIVE,
        plan="roomy",
        version=int(now * 1_000_000),
        created_at=now,
        updated_at=now,
        secrets=(SigningSecret(typeid("sec", new_id()), new_signing_secret().encode(), now),),
        widget_keys=(WidgetKey(new_widget_key(), now),),
    )


def _token(slug: str, secret: str) -> str:
    now = int(time.time())
    claims = {"sub": "user-1", "tenant": slug, "iat": now, "exp": now + _TOKEN_LIFE, "iss": "figures"}
    return jwt.encode(claims, secret, algorithm="HS256")
