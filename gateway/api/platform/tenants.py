"""`tenants`: a platform's tenants, made, listed, shown, changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from pydantic import create_model

from gateway.api.cursor import SCORE, UUID_FORM, Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_fields import ExternalRef, Name, Slug, Text, one_of
from gateway.api.tenant_view import timestamp
from gateway.errors import (
    EXTERNAL_REF_TAKEN,
    NOT_FOUND,
    PRECONDITION_FAILED,
    SLUG_TAKEN,
    TENANT_IS_ARCHIVED,
    TENANT_KEY_CANNOT_CREATE_TENANTS,
    TENANT_KEY_FORBIDDEN,
    WRITE_CONFLICT,
    Refused,
)
from gateway.registry.tenants import NewTenant
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.tenant import Status, Tenant


class OneTenant(Input):
    tenant_id: TenantId


class TenantShown(Shape):
    """A tenant. Its caps are those in force, its own or its plan's; null: unlimited within the organization's plan."""

    id: str
    slug: str
    """Never changes."""
    external_ref: str | None
    """The platform's own id of it."""
    name: str
    status: Status
    suspend_reason: str | None
    plan: str
    region: str | None
    created_at: str
    updated_at: str


class NewFields(Input):
    """Absent, the slug is made from the name, and the plan is the organization's default."""

    name: Text
    slug: Slug | None = None
    external_ref: ExternalRef | None = None
    plan: str | None = None
    region: Name | None = None


class ChangedFields(Input):
    """What is absent stays as it is."""

    name: Text = ""
    plan: str = ""
    region: Name | None = None


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, asked: Asked[Nothing, NewFields]) -> Answered:
        body, org = asked.body, asked.caller.require_org()
        new = NewTenant(org, body.name, body.slug, body.external_ref, body.plan, body.region)
        created = await self._parts.tenants.by(asked.caller.actor).create(new)
        return Answered(self._view(created.tenant), tagged=True)

    async def list(self, asked: Asked[Paged, Nothing]) -> Answered:
        caller, wanted = asked.caller, asked.parameters
        if caller.tenant is not None:
            return Answered(page([self._view(await self._parts.tenants.get(caller.tenant))], None))
        below = position_of(wanted.cursor, SCORE, UUID_FORM)
        found, end = await self._parts.tenant_list.page(caller.require_org(), wanted.limit, below)
        return Answered(page([self._view(tenant) for tenant in found], end))

    async def show(self, asked: Asked[OneTenant, Nothing]) -> Answered:
        asked.caller.check_may_name(asked.parameters.tenant_id)
        tenant = await self._parts.tenants.get(asked.parameters.tenant_id)
        asked.caller.check_sees(tenant.org, tenant.id)
        return Answered(self._view(tenant), tagged=True)

    async def change(self, asked: Asked[OneTenant, ChangedFields]) -> Answered:
        body, given = asked.body, asked.body.model_fields_set

        def edit(tenant: Tenant) -> Tenant:
            asked.caller.check_sees(tenant.org, tenant.id)
            asked.condition.check(self._view(tenant))
            if tenant.status is Status.ARCHIVED:
                raise Refused(TENANT_IS_ARCHIVED)
            region = body.region if "region" in given else tenant.region
            return replace(tenant, name=body.name or tenant.name, plan=body.plan or tenant.plan, region=region)

        changed = await self._parts.tenants.by(asked.caller.actor).change(asked.parameters.tenant_id, edit)
        return Answered(self._view(changed), tagged=True)

    def _view(self, tenant: Tenant) -> dict[str, object]:
        return tenant_shown(tenant, self._parts.plans.get(tenant.plan, Plan(tenant.plan)), self._parts.metrics.values())


def tenant_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls, shown = _Calls(parts), shown_model(tuple(parts.metrics.values()))
    return (
        endpoint(
            "POST",
            "",
            calls.create,
            name="createTenant",
            summary="Make a tenant",
            parameters=Nothing,
            body=new_model(tuple(parts.plans)),
            answer=shown,
            status=201,
            scope="write:tenants",
            platform_only=TENANT_KEY_CANNOT_CREATE_TENANTS,
            errors=(SLUG_TAKEN, EXTERNAL_REF_TAKEN),
            example=Example(EXAMPLE, {"name": "Acme Corp", "slug": "acme", "external_ref": "cust_12345"}),
            tagged=True,
        ),
        endpoint(
            "GET",
            "",
            calls.list,
            name="listTenants",
            summary="List tenants, the newest first",
            parameters=Paged,
            body=Nothing,
            answer=listed(shown),
            scope="read:tenants",
            example=Example({"data": [EXAMPLE], "next_cursor": None}, parameters={"limit": "20"}),
        ),
        endpoint(
            "GET",
            "/{tenant_id}",
            calls.show,
            name="getTenant",
            summary="Show a tenant",
            parameters=OneTenant,
            body=Nothing,
            answer=shown,
            scope="read:tenants",
            errors=(NOT_FOUND,),
            example=Example(EXAMPLE, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "PATCH",
            "/{tenant_id}",
            calls.change,
            name="updateTenant",
            summary="Change the fields that are present",
            parameters=OneTenant,
            body=changed_model(tuple(parts.plans)),
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, TENANT_IS_ARCHIVED, WRITE_CONFLICT, PRECONDITION_FAILED),
            example=Example(EXAMPLE, {"name": "Acme Corp", "plan": tuple(parts.plans)[-1]}, NAMED),
            tagged=True,
        ),
    )


NAMED = {"tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf"}
EXAMPLE = {
    "id": NAMED["tenant_id"],
    "slug": "acme",
    "external_ref": "cust_12345",
    "name": "Acme Corp",
    "status": "active",
    "suspend_reason": None,
    "plan": "pro",
    "region": None,
    "monthly_email_cap": 5000,
    "created_at": "2026-06-21T10:00:00Z",
    "updated_at": "2026-06-21T11:00:00Z",
}


def tenant_shown(tenant: Tenant, plan: Plan, metrics: Iterable[Metric]) -> dict[str, object]:
    return {
        "id": tenant.typeid,
        "slug": tenant.slug,
        "external_ref": tenant.external_ref,
        "name": tenant.name,
        "status": tenant.status.value,
        "suspend_reason": tenant.profile.suspend_reason,
        "plan": tenant.plan,
        "region": tenant.region,
        **{metric.cap: tenant.cap(metric.name, plan) for metric in metrics},
        "created_at": timestamp(tenant.created_at),
        "updated_at": timestamp(tenant.updated_at),
    }


def shown_model(metrics: Iterable[Metric]) -> type[TenantShown]:
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = {metric.cap: (int | None, None) for metric in metrics}
    return create_model("Tenant", __base__=TenantShown, **fields)


def new_model(plans: Collection[str]) -> type[NewFields]:
    fields: dict[str, Any] = {"plan": (one_of(plans) | None, None)}
    return create_model("NewTenant", __base__=NewFields, **fields)


def changed_model(plans: Collection[str]) -> type[ChangedFields]:
    fields: dict[str, Any] = {"plan": (one_of(plans), "")}
    return create_model("TenantChange", __base__=ChangedFields, **fields)
