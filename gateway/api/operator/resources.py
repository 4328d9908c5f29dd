"""The operator API's calls about resources: how many a tenant has, as counted and as its backend knows better."""

from __future__ import annotations

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import ById, Counted, Nothing
from gateway.api.parts import Parts
from gateway.errors import NOT_FOUND
from gateway.tenancy.tenant import Tenant

from . import examples
from .answers import ResourcesShown
from .tenants import note


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._tenants, self._resources, self._plans = parts.tenants, parts.resources, parts.plans

    async def fetch(self, asked: Asked[ById, Nothing]) -> Answered:
        return Answered(await self._view(await self._tenants.get(asked.parameters.tenant_id)), "Resources fetched.")

    async def set(self, asked: Asked[ById, Counted]) -> Answered:
        counted = asked.body
        if counted.resource not in self._resources.names:
            known = ", ".join(self._resources.names) or "none: no plan has resources"
            raise invalid({"resource": f"must be one of: {known}"})
        tenant = await self._tenants.get(asked.parameters.tenant_id)
        await self._resources.reconcile(tenant.id, counted.resource, counted.count)
        note("tenant.resource_set", asked.caller, tenant)
        return Answered(await self._view(tenant), "Resource set. Its reservations are cleared.")

    async def _view(self, tenant: Tenant) -> dict[str, object]:
        plan, held = self._plans.get(tenant.plan), await self._resources.of_tenant(tenant.id)
        caps = {} if plan is None else plan.resources
        shown = {name: {"cap": caps.get(name), "used": one.used, "reserved": one.reserved} for name, one in held.items()}
        return {"tenant_id": str(tenant.id), "resources": shown}


def resource_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "GET",
            "/fetch/resources",
            calls.fetch,
            name="fetchResources",
            summary="Show how many a tenant has of each resource",
            parameters=ById,
            body=Nothing,
            answer=ResourcesShown,
            errors=(NOT_FOUND,),
            example=Example(examples.RESOURCES, parameters=examples.NAMED),
        ),
        endpoint(
            "POST",
            "/set/resource",
            calls.set,
            name="setResource",
            summary="Say how many a tenant has of a resource",
            parameters=ById,
            body=Counted,
            answer=ResourcesShown,
            errors=(NOT_FOUND,),
            example=Example(examples.RESOURCES, {"resource": "users", "count": 3}, examples.NAMED),
        ),
    )
