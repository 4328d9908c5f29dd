"""`tenants`: a platform's tenants, made, listed, shown, changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from gateway.api.cursor import SCORE, UUID_FORM, Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing
from gateway.api.parts import Parts
from gateway.api.tenant_fields import ExternalRef, Flags, Name, Rate, Slug, Text, one_of
from gateway.errors import (
    EXTERNAL_REF_TAKEN,
    NOT_FOUND,
    PRECONDITION_FAILED,
    SLUG_TAKEN,
    TENANT_IS_ARCHIVED,
    TENANT_IS_PROVISIONING,
    TENANT_KEY_CANNOT_CREATE_TENANTS,
    TENANT_KEY_FORBIDDEN,
    WRITE_CONFLICT,
)
from gateway.registry.lifecycle import check_alive, read_only
from gateway.registry.tenants import NewTenant
from gateway.tenancy.search import LONGEST_WORD, Search
from gateway.tenancy.tenant import Status, Tenant

from .tenant_answers import EXAMPLE, NAMED, OneTenant, shown_model, view_of

Sought = Annotated[Text, Field(max_length=LONGEST_WORD)]


class Searched(Paged):
    external_ref: Annotated[ExternalRef | None, Field(description="Your own id of the tenant.")] = None
    status: Annotated[Status | None, Field(description="Only tenants in this state.")] = None
    q: Annotated[Sought | None, Field(description="What the slug, the reference, the name or a word of it begins with.")] = None

    @property
    def search(self) -> Search:
        return Search(self.status, self.external_ref, self.q)


class NewFields(Input):
    """Absent, the slug is made from the name, and the plan is the organization's default."""

    name: Text
    slug: Slug | None = None
    external_ref: ExternalRef | None = None
    plan: str | None = None
    region: Name | None = None


class ChangedFields(Input):
    """What is absent stays as it is."""

    model_config = ConfigDict(strict=True)

    name: Text = ""
    plan: str = ""
    region: Name | None = None
    rate_limit: Rate | None = None
    """null: its plan's holds."""
    features: Flags | None = None
    """Over its plan's; written whole."""
    read_only: bool = False
    """Whether the tenant may only read."""

    def over(self, tenant: Tenant) -> Tenant:
        """`tenant` with the fields that are present. Raises Refused(TENANT_IS_PROVISIONING)."""
        given = self.model_fields_set
        changed = replace(
            tenant,
            name=self.name or tenant.name,
            plan=self.plan or tenant.plan,
            region=self.region if "region" in given else tenant.region,
            rate=self.rate_limit if "rate_limit" in given else tenant.rate,
            features=self.features or {} if "features" in given else tenant.features,
        )
        return read_only(changed, self.read_only) if "read_only" in given else changed


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, asked: Asked[Nothing, NewFields]) -> Answered:
        body, org = asked.body, asked.caller.require_org()
        new = NewTenant(org, body.name, body.slug, body.external_ref, body.plan, body.region)
        created = await self._parts.tenants.by(asked.caller.actor).create(new)
        return Answered(view_of(created.tenant, self._parts), tagged=True)

    async def list(self, asked: Asked[Searched, Nothing]) -> Answered:
        caller, wanted = asked.caller, asked.parameters
        if caller.tenant is not None:
            own = await self._parts.tenants.get(caller.tenant)
            return Answered(page([view_of(own, self._parts)] if wanted.search.finds(own) else [], None))
        below = position_of(wanted.cursor, SCORE, UUID_FORM)
        found, end = await self._parts.tenant_list.page(caller.require_org(), wanted.limit, below, wanted.search)
        return Answered(page([view_of(tenant, self._parts) for tenant in found], end))

    async def show(self, asked: Asked[OneTenant, Nothing]) -> Answered:
        asked.caller.check_may_name(asked.parameters.tenant_id)
        tenant = await self._parts.tenants.get(asked.parameters.tenant_id)
        asked.caller.check_sees(tenant.org, tenant.id)
        return Answered(view_of(tenant, self._parts), tagged=True)

    async def change(self, asked: Asked[OneTenant, ChangedFields]) -> Answered:
        body = asked.body

        def edit(tenant: Tenant) -> Tenant:
            asked.caller.check_sees(tenant.org, tenant.id)
            asked.condition.check(view_of(tenant, self._parts))
            check_alive(tenant)
            return body.over(tenant)

        changed = await self._parts.tenants.by(asked.caller.actor).change(asked.parameters.tenant_id, edit)
        return Answered(view_of(changed, self._parts), tagged=True)


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
            parameters=Searched,
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
            errors=(NOT_FOUND, TENANT_IS_ARCHIVED, TENANT_IS_PROVISIONING, WRITE_CONFLICT, PRECONDITION_FAILED),
            example=Example(EXAMPLE, {"name": "Acme Corp", "plan": tuple(parts.plans)[-1]}, NAMED),
            tagged=True,
        ),
    )


def new_model(plans: Collection[str]) -> type[NewFields]:
    fields: dict[str, Any] = {"plan": (one_of(plans) | None, None)}
    return create_model("NewTenant", __base__=NewFields, **fields)


def changed_model(plans: Collection[str]) -> type[ChangedFields]:
    fields: dict[str, Any] = {"plan": (one_of(plans), "")}
    return create_model("TenantChange", __base__=ChangedFields, **fields)
