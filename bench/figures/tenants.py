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
    shelf = Shelf(store, Cipher(encryption_key), {"main": Organization("main", default_plan="roomy")})
    slugs = [f"tenant-{number}" for number in range(count)]
    for start in range(0, count, _BATCH):
        batch = slugs[start : start + _BATCH]
        await asyncio.gather(*(shelf.write(tenant, 0) for tenant in await _reserved(store, batch)))
    return [Customer(slug, _token(slug, jwt_secret)) for slug in slugs]


async def _reserved(store: Store, slugs: Sequence[str]) -> list[Tenant]:
    tenants = [_tenant(slug) for slug in slugs]
    await store.control.gather([("SET", store.keys.slug(tenant.slug), write_owner(tenant.id)) for tenant in tenants])
    return tenants


def _tenant(slug: str) -> Tenant:
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
