"""The operator API's calls about the life of a tenant: made, changed, found, suspended, archived."""

from __future__ import annotations

import logging

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.parameters import ById, Nothing, Page, Reason, Suspension
from gateway.api.parts import Parts
from gateway.api.tenant_fields import NewTenant, TenantChange, tenant_models
from gateway.api.tenant_view import tenant_view
from gateway.errors import (
    EXTERNAL_REF_TAKEN,
    NOT_FOUND,
    PRECONDITION_FAILED,
    SLUG_TAKEN,
    TENANT_IS_ARCHIVED,
    TENANT_IS_PROVISIONING,
    TENANT_NOT_PROVISIONING,
    TENANT_NOT_SUSPENDED,
    WRITE_CONFLICT,
)
from gateway.registry import tenants
from gateway.registry.lifecycle import acknowledged, check_alive, read_only
from gateway.tenancy.tenant import Status, Tenant

from . import examples
from .answers import caps_of, provisioned, tenant_list, tenant_shown

_log = logging.getLogger("tenantgate.operator")

CHANGES = (NOT_FOUND, TENANT_IS_ARCHIVED, WRITE_CONFLICT)


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._tenants, self._plans = parts.tenants, parts.plans
        self._metrics = tuple(parts.metrics.values())
        self._default_org = next(iter(parts.orgs))

    async def provision(self, asked: Asked[Nothing, NewTenant]) -> Answered:
        body = asked.body
        new = tenants.NewTenant(
            org=body.org or self._default_org,
            name=body.name,
            slug=body.slug,
            external_ref=body.external_ref,
            plan=body.plan_tier or None,
            handshake=body.handshake,
        )
        created = await self._by(asked.caller).create(new, lambda tenant: body.over(tenant, self._metrics))
        note("tenant.created", asked.caller, created.tenant)
        shown = {"tenant_id": str(created.tenant.id), "tenant_secret": created.secret, **self._view(created.tenant)}
        return Answered(shown, "Tenant provisioned. Save the tenant_secret — it is shown only this once.")

    async def update(self, asked: Asked[ById, TenantChange]) -> Answered:
        def edit(tenant: Tenant) -> Tenant:
            check_alive(tenant)
            asked.condition.check(self._view(tenant))
            changed = asked.body.over(tenant, self._metrics)
            return read_only(changed, asked.body.read_only) if "read_only" in asked.body.model_fields_set else changed

        tenant = await self._by(asked.caller).change(asked.parameters.tenant_id, edit)
        note("tenant.updated", asked.caller, tenant)
        return Answered(self._view(tenant), "Tenant updated.", tagged=True)

    async def suspend(self, asked: Asked[Suspension, Reason]) -> Answered:
        reasons = asked.parameters.reason, asked.body.reason
        if None not in reasons and reasons[0] != reasons[1]:
            raise invalid({"reason": "differs between query and body"})
        told = "Tenant suspended. Its calls are refused until it is reactivated."
        return await self._moved(asked, Status.SUSPENDED, "suspended", told, reasons[0] or reasons[1])

    async def reactivate(self, asked: Asked[ById, Nothing]) -> Answered:
        return await self._moved(asked, Status.ACTIVE, "unsuspended", "Tenant reactivated. Its calls resume immediately.")

    async def acknowledge(self, asked: Asked[ById, Nothing]) -> Answered:
        tenant = await self._by(asked.caller).change(asked.parameters.tenant_id, acknowledged)
        note("tenant.acknowledged", asked.caller, tenant)
        return Answered(self._view(tenant), "Tenant acknowledged. Its calls are served.")

    async def archive(self, asked: Asked[ById, Nothing]) -> Answered:
        told = "Tenant archived. Its calls are refused for good; its data is kept."
        return await self._moved(asked, Status.ARCHIVED, "archived", told)

    async def fetch(self, asked: Asked[ById, Nothing]) -> Answered:
        return Answered(self._view(await self._tenants.get(asked.parameters.tenant_id)), "Tenant fetched.", tagged=True)

    async def fetch_page(self, asked: Asked[Page, Nothing]) -> Answered:
        page = asked.parameters
        found, total = await self._tenants.page(page.limit, page.offset)
        shown = [self._view(tenant) for tenant in found]
        return Answered({"tenants": shown, "total": total, "limit": page.limit, "offset": page.offset}, "Tenants fetched.")

    async def _moved(
        self,
        asked: Asked[ById, Nothing] | Asked[Suspension, Reason],
        to: Status,
        what: str,
        told: str,
        reason: str | None = None,
    ) -> Answered:
        tenant = await self._by(asked.caller).set_status(asked.parameters.tenant_id, to, reason)
        note(f"tenant.{what}", asked.caller, tenant)
        return Answered(self._view(tenant), told)

    def _by(self, caller: Caller) -> tenants.Tenants:
        return self._tenants.by(caller.actor)

    def _view(self, tenant: Tenant) -> dict[str, object]:
        return tenant_view(tenant, self._plans, self._metrics)


def tenant_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls, metrics = _Calls(parts), tuple(parts.metrics.values())
    new, change = tenant_models(tuple(parts.plans), tuple(parts.orgs), metrics)
    shown, plan = tenant_shown(metrics), tuple(parts.plans)[-1]
    example = {**examples.TENANT, **dict.fromkeys(caps_of(metrics)), "plan_tier": plan}
    return (
        endpoint(
            "POST",
            "/provision/tenant",
            calls.provision,
            name="provisionTenant",
            summary="Make a tenant, with its signing secret and its widget key",
            parameters=Nothing,
            body=new,
            answer=provisioned(shown),
            status=201,
            errors=(SLUG_TAKEN, EXTERNAL_REF_TAKEN),
            example=Example(
                {**example, "tenant_secret": "sk_…"}, {"name": "Acme Corp", "plan_tier": plan, "external_ref": "cust_12345"}
            ),
        ),
        endpoint(
            "POST",
            "/update/tenant",
            calls.update,
            name="updateTenant",
            summary="Change the fields that are present",
            parameters=ById,
            body=change,
            answer=shown,
            errors=(*CHANGES, TENANT_IS_PROVISIONING, PRECONDITION_FAILED),
            example=Example(
                example, {"plan_tier": plan, "agent_seats": 25, "branding_primary_color": "#0055FF"}, examples.NAMED
            ),
            tagged=True,
        ),
        endpoint(
            "POST",
            "/suspend/tenant",
            calls.suspend,
            name="suspendTenant",
            summary="Refuse a tenant's calls until it is reactivated",
            parameters=Suspension,
            body=Reason,
            answer=shown,
            errors=CHANGES,
            example=Example(
                {**example, "status": "suspended", "suspend_reason": "Non-payment"}, {"reason": "Non-payment"}, examples.NAMED
            ),
        ),
        endpoint(
            "POST",
            "/reactivate/tenant",
            calls.reactivate,
            name="reactivateTenant",
            summary="Lift a suspension",
            parameters=ById,
            body=Nothing,
            answer=shown,
            errors=(*CHANGES, TENANT_NOT_SUSPENDED),
            example=Example(example, parameters=examples.NAMED),
        ),
        endpoint(
            "POST",
            "/acknowledge/tenant",
            calls.acknowledge,
            name="acknowledgeTenant",
            summary="Say that the backend is ready for a new tenant",
            parameters=ById,
            body=Nothing,
            answer=shown,
            errors=(*CHANGES, TENANT_NOT_PROVISIONING),
            example=Example(example, parameters=examples.NAMED),
        ),
        endpoint(
            "POST",
            "/archive/tenant",
            calls.archive,
            name="archiveTenant",
            summary="Refuse a tenant's calls for good, and keep its data",
            parameters=ById,
            body=Nothing,
            answer=shown,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example({**example, "status": "archived"}, parameters=examples.NAMED),
        ),
        endpoint(
            "GET",
            "/fetch/tenant",
            calls.fetch,
            name="fetchTenant",
            summary="Show a tenant",
            parameters=ById,
            body=Nothing,
            answer=shown,
            errors=(NOT_FOUND,),
            example=Example(example, parameters=examples.NAMED),
            tagged=True,
        ),
        endpoint(
            "GET",
            "/fetch/tenants",
            calls.fetch_page,
            name="fetchTenants",
            summary="List tenants, the newest first",
            parameters=Page,
            body=Nothing,
            answer=tenant_list(shown),
            example=Example({"tenants": [example], "total": 1, "limit": 100, "offset": 0}, parameters={"limit": "100"}),
        ),
    )


def note(action: str, caller: Caller, tenant: Tenant) -> None:
    """Who did what to whom, for the log."""
    _log.info(action, extra={"operator": caller.name, "tenant_id": tenant.typeid, "request_id": caller.request_id})
