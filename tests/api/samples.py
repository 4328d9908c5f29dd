"""The admin listener over a registry, asked through ASGI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.api.admin import admin_app
from gateway.api.apis import operator_document
from gateway.api.operator.app import operator_app
from gateway.api.operator.catalogue import operator_endpoints
from gateway.api.parts import Parts
from gateway.billing.billed import Billed
from gateway.ledger.carry import Carry
from gateway.ledger.resources import Resources
from gateway.ledger.usage import Usage
from gateway.registry.domains import Domains
from gateway.registry.dump import Dump
from gateway.registry.key_index import KeyIndex
from gateway.registry.last_used import LastUsed
from gateway.registry.listing import TenantList
from gateway.registry.proof import Proof
from gateway.registry.restore import Restore
from gateway.tenancy.plan import Metric, Plan, RateLimit
from gateway.tenancy.scopes import Grants
from gateway.webhooks.address import Rules
from gateway.webhooks.letters import Letters
from gateway.webhooks.queue import Queue
from tests.registry.samples import ORGS, Registry

ADMIN_KEY = "adm-first-0123456789abcdef0123456789abcdef"
SECOND_KEY = "adm-second-0123456789abcdef0123456789abcdef"
ADMIN_KEYS = {"ops": ADMIN_KEY, "billing": SECOND_KEY}
METRICS = {
    "requests": Metric("requests", "monthly_request_cap", lazy=True),
    "messages": Metric("messages", "monthly_message_cap"),
    "emails": Metric("emails", "monthly_email_cap"),
}
PLANS = {
    "free": Plan("free", rate=RateLimit(5, 1, 5), quotas={"messages": 100}, resources={"users": 5}),
    "pro": Plan("pro", rate=RateLimit(100, 1, 100), features=frozenset({"analytics"})),
}


@dataclass
class Operator:
    """Calls of the operator API with a valid key; `path` is below `/api/v1`."""

    http: httpx.AsyncClient
    registry: Registry

    async def post(self, path: str, body: object = None, **query: str) -> httpx.Response:
        return await self.http.post(f"/api/v1/{path}", params=query, **({} if body is None else {"json": body}))

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(f"/api/v1/{path}", params=query)

    async def provision(self, **fields: object) -> dict[str, Any]:
        answer = await self.post("provision/tenant", {"name": "Acme", **fields})
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def fetch(self, tenant_id: str) -> dict[str, Any]:
        data: dict[str, Any] = (await self.get("fetch/tenant", tenant_id=tenant_id)).json()["data"]
        return data


async def no_check() -> None:
    pass


async def no_metrics(accept: str) -> tuple[bytes, str]:
    return b"", "text/plain"


def parts_of(registry: Registry) -> Parts:
    return Parts(
        clock=registry.clock,
        tenants=registry.tenants,
        tenant_list=TenantList(registry.shelf),
        keys=registry.keys,
        key_index=KeyIndex(registry.shelf),
        last_used=LastUsed(registry.store, registry.clock),
        grants=Grants(),
        revocations=registry.revocations,
        domains=Domains(registry.changes, Proof("127.0.0.1:9", 0.1)),
        resources=Resources(registry.store, ["users", "departments"]),
        usage=Usage(registry.store),
        billed=Billed(registry.store, Usage(registry.store), registry.clock.now),
        audit=registry.audit,
        answers=registry.answers,
        webhooks=registry.webhooks,
        events=Queue(registry.store),
        letters=Letters(registry.store),
        webhook_rules=Rules(),
        plans=PLANS,
        orgs=ORGS,
        metrics=METRICS,
        jwks=lambda: {"keys": []},
        dump=Dump(registry.shelf, registry.audit),
        restore=Restore(registry.changes),
        carry=Carry(registry.store, registry.clock),
    )


def admin_client(registry: Registry, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    calls = operator_endpoints(parts_of(registry))
    api = operator_app(calls, ADMIN_KEYS, registry.answers)
    app = admin_app(api, {"store": no_check}, no_metrics, lambda: {"keys": []}, operator_document(calls))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin.test", headers=headers or {})
