"""The public listener of a whole gateway, with every group of the platform's API mounted, asked through ASGI."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, get_args

import httpx

from gateway.app import Gateway, open_gateway
from gateway.registry.owner import Owner
from gateway.registry.tenants import NewTenant
from gateway.settings.schema import Builtin, Settings
from gateway.tenancy.tenant import Tenant

SCOPES = frozenset(
    {"read:tenants", "write:tenants", "read:usage", "write:keys", "write:domains", "write:webhooks", "read:audit"}
)
PATHS = {"billing_plan": "/api/v1/billing/plan", "jwks": "/.well-known/jwks.json", "openapi": "/openapi.json", "docs": "/docs"}
OPEN = {"jwks", "openapi", "docs"}


@dataclass
class Platform:
    """`root` calls with a key of the organization `main` that holds every scope."""

    gateway: Gateway
    root: httpx.AsyncClient

    async def tenant(self, name: str = "Acme", org: str = "main", **fields: Any) -> Tenant:
        return (await self.gateway.tenants.create(NewTenant(org, name, **fields))).tenant

    async def caller(self, owner: Owner, scopes: frozenset[str] = SCOPES) -> httpx.AsyncClient:
        """Calls with a new key of a tenant or an organization."""
        minted = await self.gateway.keys.mint(owner, "test", scopes, created_by="tests")
        return client(self.gateway, {"X-Api-Key": minted.text})


def client(gateway: Gateway, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(gateway.public)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=headers or {})


@asynccontextmanager
async def opened(store_url: str, prefix: str, **more: object) -> AsyncIterator[Platform]:
    async with open_gateway(_settings(store_url, prefix, more)) as gateway:
        minted = await gateway.keys.mint("main", "root", SCOPES, created_by="tests")
        async with client(gateway, {"X-Api-Key": minted.text}) as root:
            yield Platform(gateway, root)


def _settings(store_url: str, prefix: str, more: Mapping[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "version": 1,
            "store": {"url": store_url, "prefix": prefix, "deadline": "5s"},
            "secrets": {"encryption_key": base64.b64encode(b"k" * 32).decode()},
            "plans": {"free": {}, "pro": {}},
            "orgs": {"main": {"default_plan": "free"}, "other": {"default_plan": "free"}},
            "routes": [
                {
                    "name": builtin,
                    "path": PATHS.get(builtin, f"/api/v1/{builtin}/*"),
                    "builtin": builtin,
                    "policies": ["public"] if builtin in OPEN else ["api_key", "tenant_match", "tenant_status"],
                }
                for builtin in get_args(Builtin)
            ],
            **more,
        }
    )
