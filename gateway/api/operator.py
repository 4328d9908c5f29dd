"""The operator API: the life of a tenant, for whoever runs the platform. docs/operator-api.md describes each call."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import TENANT_IS_ARCHIVED, Refused
from gateway.ledger.resources import Resources
from gateway.registry.audit import Audit
from gateway.registry.audit_entry import Actor
from gateway.registry.tenants import NewTenant, Tenants
from gateway.tenancy.credential import SigningSecret, WidgetKey
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.tenant import Status, Tenant

from .admin_key import AdminKeyRequired
from .audit import audit_routes
from .body import invalid, read_body, read_query
from .envelope import Enveloped, success, unmatched
from .parameters import ById, Counted, Nothing, Page, Reason, Rotation, Suspension
from .tenant_fields import tenant_models
from .tenant_view import tenant_view, timestamp

Q = TypeVar("Q", bound=BaseModel)

_log = logging.getLogger("tenantgate.operator")


def operator_app(
    tenants: Tenants,
    resources: Resources,
    admin_keys: Mapping[str, str],
    plans: Mapping[str, Plan],
    orgs: Mapping[str, object],
    metrics: Mapping[str, Metric],
    audit: Audit,
) -> Starlette:
    """To be mounted at `/api/v1`. `admin_keys`: the operators' keys by name. The first of `orgs` is the default one."""
    calls = _Calls(tenants, resources, plans, tuple(orgs), tuple(metrics.values()))
    app = Starlette(
        routes=[
            Route("/provision/tenant", calls.provision, methods=["POST"]),
            Route("/update/tenant", calls.update, methods=["POST"]),
            Route("/rotate/tenant-secret", calls.rotate_secret, methods=["POST"]),
            Route("/rotate/widget-key", calls.rotate_widget_key, methods=["POST"]),
            Route("/suspend/tenant", calls.suspend, methods=["POST"]),
            Route("/reactivate/tenant", calls.reactivate, methods=["POST"]),
            Route("/archive/tenant", calls.archive, methods=["POST"]),
            Route("/fetch/tenant", calls.fetch, methods=["GET"]),
            Route("/fetch/tenants", calls.fetch_page, methods=["GET"]),
            Route("/fetch/resources", calls.fetch_resources, methods=["GET"]),
            Route("/set/resource", calls.set_resource, methods=["POST"]),
            Route("/reencrypt/secrets", calls.reencrypt, methods=["POST"]),
            *audit_routes(audit, tuple(orgs)),
        ],
        middleware=[Middleware(Enveloped), Middleware(AdminKeyRequired, keys=admin_keys)],
        exception_handlers={HTTPException: unmatched},
    )
    app.router.redirect_slashes = False
    return app


class _Calls:
    def __init__(
        self,
        tenants: Tenants,
        resources: Resources,
        plans: Mapping[str, Plan],
        orgs: tuple[str, ...],
        metrics: tuple[Metric, ...],
    ) -> None:
        self._tenants = tenants
        self._resources = resources
        self._plans = plans
        self._default_org = orgs[0]
        self._metrics = metrics
        self._new, self._change = tenant_models(tuple(plans), orgs, metrics)

    async def provision(self, request: Request) -> Response:
        read_query(request, Nothing)
        body = await read_body(request, self._new)
        new = NewTenant(
            org=body.org or self._default_org,
            name=body.name,
            slug=body.slug,
            external_ref=body.external_ref,
            plan=body.plan_tier or None,
        )
        created = await self._by(request).create(new, lambda tenant: body.over(tenant, self._metrics))
        _note("tenant.created", request, created.tenant)
        shown = {"tenant_id": str(created.tenant.id), "tenant_secret": created.secret, **self._view(created.tenant)}
        return success(shown, "Tenant provisioned. Save the tenant_secret — it is shown only this once.", 201)

    async def update(self, request: Request) -> Response:
        tenant_id = read_query(request, ById).tenant_id
        body = await read_body(request, self._change)

        def edit(tenant: Tenant) -> Tenant:
            if tenant.status is Status.ARCHIVED:
                raise Refused(TENANT_IS_ARCHIVED)
            return body.over(tenant, self._metrics)

        tenant = await self._by(request).change(tenant_id, edit)
        _note("tenant.updated", request, tenant)
        return success(self._view(tenant), "Tenant updated.")

    async def rotate_secret(self, request: Request) -> Response:
        asked = await self._without_body(request, Rotation)
        tenant, secret = await self._by(request).rotate_secret(asked.tenant_id, asked.grace_seconds)
        _note("tenant.secret_rotated", request, tenant)
        data = {"tenant_id": str(tenant.id), "tenant_secret": secret, "rotated_at": timestamp(tenant.updated_at)}
        ending = _ending(tenant.secrets)
        return success(data, f"Secret rotated. Save the new tenant_secret — old secret is {ending or 'now invalid'}.")

    async def rotate_widget_key(self, request: Request) -> Response:
        asked = await self._without_body(request, Rotation)
        tenant, key = await self._by(request).rotate_widget_key(asked.tenant_id, asked.grace_seconds)
        _note("tenant.widget_key_rotated", request, tenant)
        data = {"tenant_id": str(tenant.id), "widget_public_key": key, "rotated_at": timestamp(tenant.updated_at)}
        ending = _ending(tenant.widget_keys)
        old = f"old key is {ending}" if ending else "old key stops working immediately"
        return success(data, f"Widget public key rotated. Update <script data-public-key=...> on every tenant page; {old}.")

    async def suspend(self, request: Request) -> Response:
        asked = read_query(request, Suspension)
        body = await read_body(request, Reason)
        if None not in (asked.reason, body.reason) and asked.reason != body.reason:
            raise invalid({"reason": "differs between query and body"})
        tenant = await self._by(request).set_status(asked.tenant_id, Status.SUSPENDED, asked.reason or body.reason)
        _note("tenant.suspended", request, tenant)
        return success(self._view(tenant), "Tenant suspended. Its calls are refused until it is reactivated.")

    async def reactivate(self, request: Request) -> Response:
        asked = await self._without_body(request, ById)
        tenant = await self._by(request).set_status(asked.tenant_id, Status.ACTIVE)
        _note("tenant.unsuspended", request, tenant)
        return success(self._view(tenant), "Tenant reactivated. Its calls resume immediately.")

    async def archive(self, request: Request) -> Response:
        asked = await self._without_body(request, ById)
        tenant = await self._by(request).set_status(asked.tenant_id, Status.ARCHIVED)
        _note("tenant.archived", request, tenant)
        return success(self._view(tenant), "Tenant archived. Its calls are refused for good; its data is kept.")

    async def fetch(self, request: Request) -> Response:
        tenant = await self._tenants.get(read_query(request, ById).tenant_id)
        return success(self._view(tenant), "Tenant fetched.")

    async def fetch_page(self, request: Request) -> Response:
        page = read_query(request, Page)
        tenants, total = await self._tenants.page(page.limit, page.offset)
        data = {
            "tenants": [self._view(tenant) for tenant in tenants],
            "total": total,
            "limit": page.limit,
            "offset": page.offset,
        }
        return success(data, "Tenants fetched.")

    async def fetch_resources(self, request: Request) -> Response:
        tenant = await self._tenants.get(read_query(request, ById).tenant_id)
        return success(await self._resources_view(tenant), "Resources fetched.")

    async def set_resource(self, request: Request) -> Response:
        tenant_id = read_query(request, ById).tenant_id
        counted = await read_body(request, Counted)
        if counted.resource not in self._resources.names:
            known = ", ".join(self._resources.names) or "none: no plan has resources"
            raise invalid({"resource": f"must be one of: {known}"})
        tenant = await self._tenants.get(tenant_id)
        await self._resources.reconcile(tenant.id, counted.resource, counted.count)
        _note("tenant.resource_set", request, tenant)
        return success(await self._resources_view(tenant), "Resource set. Its reservations are cleared.")

    async def _resources_view(self, tenant: Tenant) -> dict[str, object]:
        plan, held = self._plans.get(tenant.plan), await self._resources.of_tenant(tenant.id)
        caps = {} if plan is None else plan.resources
        shown = {name: {"cap": caps.get(name), "used": one.used, "reserved": one.reserved} for name, one in held.items()}
        return {"tenant_id": str(tenant.id), "resources": shown}

    def _by(self, request: Request) -> Tenants:
        return self._tenants.by(Actor(request.state.operator, request.state.request_id))

    def _view(self, tenant: Tenant) -> dict[str, object]:
        return tenant_view(tenant, self._plans, self._metrics)

    async def reencrypt(self, request: Request) -> Response:
        await self._without_body(request, Nothing)
        count = await self._tenants.reencrypt()
        return success(
            {"reencrypted": count}, f"{count} tenants' secrets were under another key, and are under the present one."
        )

    async def _without_body(self, request: Request, model: type[Q]) -> Q:
        """The parameters of a call that is told everything in its query. A body with something in it is refused: whoever sent
        it would wait for its effect in vain."""
        await read_body(request, Nothing)
        return read_query(request, model)


def _note(action: str, request: Request, tenant: Tenant) -> None:
    """Who did what to whom, for the log."""
    state = request.state
    _log.info(action, extra={"operator": state.operator, "tenant_id": tenant.typeid, "request_id": state.request_id})


def _ending(credentials: Iterable[SigningSecret | WidgetKey]) -> str:
    """Until when the credential before the present one is valid; empty where it has ended."""
    ends = [credential.not_after for credential in credentials if credential.not_after is not None]
    return f"valid until {timestamp(max(ends))}" if ends else ""
