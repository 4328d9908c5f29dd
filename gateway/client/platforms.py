"""The platform's API, on the public listener."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import httpx

from .answers import Plan
from .connection import Connection, Pause
from .keys import Keys
from .tenants import Tenants
from .webhooks import Webhooks


class Client:
    """`key` is an API key, of a platform or of a tenant. `prefix` is where gateway.yaml mounts the API.

    Every method raises Refusal and Unreachable. A POST gets an `Idempotency-Key` and is sent again where its answer was lost.
    `timeout` is in seconds, for one attempt. `pause` waits for some seconds between two.

        async with Client("https://api.example.com", key) as client:
            tenant = await client.tenants.create(name="Acme Corp", external_ref="cust_12345")
            async for tenant in client.tenants.list():
                print(tenant["slug"])
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        prefix: str = "/api/v1",
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        headers = {"X-Api-Key": key}
        self._connection = Connection(base_url + prefix, headers, timeout=timeout, transport=transport, pause=pause)
        self.tenants = Tenants(self._connection)
        self.keys = Keys(self._connection)
        self.webhooks = Webhooks(self._connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.http.aclose()

    async def plan(self, tenant: str | None = None) -> Plan:
        """Plan, limits, features and use of the key's tenant; with a platform's key, of the `tenant` with this slug."""
        headers = {} if tenant is None else {"X-Tenant": tenant}
        plan: Plan = await self._connection.send("GET", "/billing/plan", headers=headers)
        return plan
