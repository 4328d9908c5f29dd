"""`tenants`: their states and their caps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Self

from pydantic import ConfigDict, create_model, model_validator

from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, Reason
from gateway.api.parts import Parts
from gateway.api.tenant_fields import Count
from gateway.errors import (
    NOT_FOUND,
    PRECONDITION_FAILED,
    TENANT_IS_ARCHIVED,
    TENANT_KEY_FORBIDDEN,
    TENANT_NOT_PROVISIONING,
    TENANT_NOT_SUSPENDED,
    WRITE_CONFLICT,
)
from gateway.registry.lifecycle import acknowledged, check_alive
from gateway.tenancy.plan import Metric
from gateway.tenancy.tenant import Status, Tenant

from .tenant_answers import EXAMPLE, NAMED, OneTenant, shown_model, view_of


class Caps(Input):
    """Bounds of a calendar month, at least one. Null: none but the organization's; 0: blocked. What is absent stays as it is,
    and what was used is kept."""

    model_config = ConfigDict(strict=True, json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names no cap; give one at least")
        return self


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def archive(self, asked: Asked[OneTenant, Nothing]) -> Answered:
        return await self._set(asked, Status.ARCHIVED)

    async def suspend(self, asked: Asked[OneTenant, Reason]) -> Answered:
        return await self._set(asked, Status.SUSPENDED, asked.body.reason)

    async def unsuspend(self, asked: Asked[OneTenant, Nothing]) -> Answered:
        return await self._set(asked, Status.ACTIVE)

    async def acknowledge(self, asked: Asked[OneTenant, Nothing]) -> Answered:
        def edit(tenant: Tenant) -> Tenant:
            asked.caller.check_sees(tenant.org, tenant.id)
            return acknowledged(tenant)

        tenants = self._parts.tenants.by(asked.caller.actor)
        return self._answered(await tenants.change(asked.parameters.tenant_id, edit))

    async def set_quota(self, asked: Asked[OneTenant, Caps]) -> Answered:
        given = asked.body.model_fields_set
        caps = {one.name: getattr(asked.body, one.cap) for one in self._parts.metrics.values() if one.cap in given}

        def edit(tenant: Tenant) -> Tenant:
            asked.caller.check_sees(tenant.org, tenant.id)
            asked.condition.check(view_of(tenant, self._parts))
            check_alive(tenant)
            return replace(tenant, caps={**tenant.caps, **caps})

        tenants = self._parts.tenants.by(asked.caller.actor)
        return self._answered(await tenants.change(asked.parameters.tenant_id, edit))

    async def _set(
        self, asked: Asked[OneTenant, Nothing] | Asked[OneTenant, Reason], to: Status, reason: str | None = None
    ) -> Answered:
        tenants, check = self._parts.tenants.by(asked.caller.actor), _seen_by(asked.caller)
        return self._answered(await tenants.set_status(asked.parameters.tenant_id, to, reason, check))

    def _answered(self, tenant: Tenant) -> Answered:
        return Answered(view_of(tenant, self._parts), tagged=True)


def _seen_by(caller: Caller) -> Callable[[Tenant], None]:
    return lambda tenant: caller.check_sees(tenant.org, tenant.id)


def tenant_lifecycle_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls, metrics = _Calls(parts), tuple(parts.metrics.values())
    shown, cap = shown_model(metrics), metrics[0].cap
    return (
        endpoint(
            "DELETE",
            "/{tenant_id}",
            calls.archive,
            name="archiveTenant",
            summary="Refuse a tenant's calls for good, and keep its data",
            parameters=OneTenant,
            body=Nothing,
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example({**EXAMPLE, "status": "archived"}, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "POST",
            "/{tenant_id}/suspend",
            calls.suspend,
            name="suspendTenant",
            summary="Refuse a tenant's calls until that is lifted",
            parameters=OneTenant,
            body=Reason,
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, TENANT_IS_ARCHIVED, WRITE_CONFLICT),
            example=Example(
                {**EXAMPLE, "status": "suspended", "suspend_reason": "Non-payment"}, {"reason": "Non-payment"}, NAMED
            ),
            tagged=True,
        ),
        endpoint(
            "POST",
            "/{tenant_id}/unsuspend",
            calls.unsuspend,
            name="unsuspendTenant",
            summary="Lift a suspension",
            parameters=OneTenant,
            body=Nothing,
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, TENANT_NOT_SUSPENDED, TENANT_IS_ARCHIVED, WRITE_CONFLICT),
            example=Example(EXAMPLE, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "POST",
            "/{tenant_id}/acknowledge",
            calls.acknowledge,
            name="acknowledgeTenant",
            summary="Say that the backend is ready for a new tenant",
            parameters=OneTenant,
            body=Nothing,
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, TENANT_NOT_PROVISIONING, TENANT_IS_ARCHIVED, WRITE_CONFLICT),
            example=Example(EXAMPLE, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "PATCH",
            "/{tenant_id}/quota",
            calls.set_quota,
            name="setTenantQuota",
            summary="Bound what a tenant uses in a month",
            parameters=OneTenant,
            body=caps_model(metrics),
            answer=shown,
            scope="write:tenants",
            platform_only=TENANT_KEY_FORBIDDEN,
            errors=(NOT_FOUND, TENANT_IS_ARCHIVED, WRITE_CONFLICT, PRECONDITION_FAILED),
            example=Example({**EXAMPLE, cap: 5000}, {cap: 5000}, NAMED),
            tagged=True,
        ),
    )


def caps_model(metrics: Iterable[Metric]) -> type[Caps]:
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = {metric.cap: (Count | None, None) for metric in metrics}
    return create_model("TenantCaps", __base__=Caps, **fields)
