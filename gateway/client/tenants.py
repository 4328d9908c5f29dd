"""The tenants of a platform."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Unpack

from .answers import NewTenant, Tenant, TenantChange, TenantFilter
from .connection import Connection, matching


class Tenants:
    """A tenant's own key sees itself. An id is taken in both of its forms."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, **fields: Unpack[NewTenant]) -> Tenant:
        return await self._send("POST", "", fields)

    def list(self, **filters: Unpack[TenantFilter]) -> AsyncIterator[Tenant]:
        """The newest first, page by page as they are asked for."""
        return self._connection.each("/tenants", {"limit": 100, **filters})

    async def get(self, tenant_id: str) -> Tenant:
        return (await self.tagged(tenant_id))[0]

    async def tagged(self, tenant_id: str) -> tuple[Tenant, str]:
        """A tenant with its `ETag`, for `update`."""
        answer = await self._connection.answer("GET", f"/tenants/{tenant_id}")
        return answer.json(), answer.headers["etag"]

    async def update(self, tenant_id: str, *, if_match: str | None = None, **fields: Unpack[TenantChange]) -> Tenant:
        """With `if_match`, an `ETag`: only if nobody has changed it since, else Refusal PRECONDITION_FAILED."""
        return await self._send("PATCH", f"/{tenant_id}", fields, if_match)

    async def set_quota(self, tenant_id: str, **caps: int | None) -> Tenant:
        """`monthly_email_cap` and the like; None: unlimited within the organization's plan."""
        return await self._send("PATCH", f"/{tenant_id}/quota", caps)

    async def suspend(self, tenant_id: str, reason: str | None = None) -> Tenant:
        return await self._send("POST", f"/{tenant_id}/suspend", {} if reason is None else {"reason": reason})

    async def unsuspend(self, tenant_id: str) -> Tenant:
        return await self._send("POST", f"/{tenant_id}/unsuspend")

    async def acknowledge(self, tenant_id: str) -> Tenant:
        """Its backend is ready: what was `provisioning` is `active`."""
        return await self._send("POST", f"/{tenant_id}/acknowledge")

    async def archive(self, tenant_id: str) -> Tenant:
        """For good."""
        return await self._send("DELETE", f"/{tenant_id}")

    async def _send(
        self, method: str, path: str, body: Mapping[str, object] | None = None, if_match: str | None = None
    ) -> Tenant:
        tenant: Tenant = await self._connection.send(method, f"/tenants{path}", body=body, headers=matching(if_match))
        return tenant
