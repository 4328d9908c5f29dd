"""The practice itself: its name, for its own web pages, and figures about it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .tenancy import Tenancy


@dataclass(frozen=True)
class Practice:
    tenancy: Tenancy

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/practice", self.show, methods=["GET"]),
            Route("/api/v1/analytics", self.analytics, methods=["GET"]),
        ]

    async def show(self, request: Request) -> JSONResponse:
        identity = await self.tenancy.gateway.identify(request)
        async with self.tenancy.transaction(identity) as connection:
            found = await connection.execute("SELECT name FROM public.companies WHERE schema = current_schema()")
            company = await found.fetchone()
        return JSONResponse({"tenant": identity.tenant, "name": company[0] if company else None})

    async def analytics(self, request: Request) -> JSONResponse:
        """How many users have which role."""
        identity = await self.tenancy.gateway.identify(request)
        async with self.tenancy.transaction(identity) as connection:
            rows = await connection.execute("SELECT role, count(*) FROM users GROUP BY role ORDER BY role")
            return JSONResponse({"tenant": identity.tenant, "users_by_role": dict(await rows.fetchall())})
