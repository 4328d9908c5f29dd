"""`webhooks`: where a platform and its tenants are told of what happens: made, listed, shown, changed, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from gateway.api.body import invalid
from gateway.api.cursor import Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.tenant_fields import Text
from gateway.errors import NOT_FOUND, PRECONDITION_FAILED, TOO_MANY_WEBHOOKS, WRITE_CONFLICT, Refused
from gateway.registry.owner import Owner
from gateway.registry.webhooks import Held
from gateway.tenancy.tenant import Status
from gateway.tenancy.webhook import Webhook
from gateway.webhooks.queue import Target

from .deliveries import delivery_endpoints
from .webhook_view import (
    EXAMPLE,
    NAMED,
    SECRET,
    WEBHOOK_ID,
    Events,
    OneWebhook,
    Url,
    WebhookMade,
    WebhookShown,
    webhook_view,
)

_WEEK = 7 * 86400


class Listing(Paged):
    tenant_id: Annotated[TenantId | None, Field(description="Those of this tenant only.")] = None


class NewFields(Input):
    """Without `tenant_id`, a platform's webhook is told of all its tenants, and a tenant's of itself."""

    url: Url
    events: Events | None = None
    tenant_id: TenantId | None = None
    description: Text | None = None


class ChangedFields(Input):
    """What is absent stays as it is. `events` of null: all."""

    url: Url = ""
    events: Events | None = None
    description: Text | None = None
    enabled: bool = True


class Roll(Input):
    """For how long the old secret still signs beside the new one."""

    overlap_seconds: Annotated[int, Field(strict=True, ge=0, le=_WEEK)] = 0


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, asked: Asked[Nothing, NewFields]) -> Answered:
        body, caller = asked.body, asked.caller
        self._check(body.url)
        owner = await self._owner(caller, body)
        made, secret = await self._parts.webhooks.by(caller.actor).create(
            caller.require_org(), owner, body.url, body.events, body.description or ""
        )
        return Answered({**webhook_view(made), "secret": secret})

    async def list(self, asked: Asked[Listing, Nothing]) -> Answered:
        caller, wanted = asked.caller, asked.parameters
        below = position_of(wanted.cursor, WEBHOOK_ID)
        tenant = caller.tenant if wanted.tenant_id is None else wanted.tenant_id
        if tenant is not None:
            caller.check_may_name(tenant)
            owner = await self._parts.tenants.get(tenant)
            caller.check_sees(owner.org, tenant)
            hooks = sorted(owner.webhooks, key=lambda hook: hook.id, reverse=True)
            left = [Held(owner.org, tenant, hook) for hook in hooks if below is None or hook.id < below[0]]
            found, end = left[: wanted.limit], left[wanted.limit - 1].webhook.id if len(left) > wanted.limit else None
        else:
            place = None if below is None else below[0]
            found, end = await self._parts.webhooks.page(caller.require_org(), wanted.limit, place)
        return Answered(page([webhook_view(held) for held in found], None if end is None else (end,)))

    async def show(self, asked: Asked[OneWebhook, Nothing]) -> Answered:
        return Answered(webhook_view(await self._find(asked.caller, asked.parameters)), tagged=True)

    async def change(self, asked: Asked[OneWebhook, ChangedFields]) -> Answered:
        body, given = asked.body, asked.body.model_fields_set
        if "url" in given:
            self._check(body.url)
        held = await self._find(asked.caller, asked.parameters)

        def edit(old: Webhook) -> Webhook:
            asked.condition.check(webhook_view(replace(held, webhook=old)))
            return replace(
                old,
                url=body.url or old.url,
                events=body.events if "events" in given else old.events,
                description=(body.description or "") if "description" in given else old.description,
                enabled=body.enabled if "enabled" in given else old.enabled,
            )

        webhooks = self._parts.webhooks.by(asked.caller.actor)
        return Answered(webhook_view(await webhooks.change(held, edit, fields=[*sorted(given)])), tagged=True)

    async def delete(self, asked: Asked[OneWebhook, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        await self._parts.webhooks.by(asked.caller.actor).delete(held)
        await self._parts.letters.forget(Target.of(held))
        return Answered(webhook_view(held))

    async def roll_secret(self, asked: Asked[OneWebhook, Roll]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        rolled, secret = await self._parts.webhooks.by(asked.caller.actor).roll_secret(held, asked.body.overlap_seconds)
        return Answered({**webhook_view(rolled), "secret": secret})

    async def _find(self, caller: Caller, wanted: OneWebhook) -> Held:
        return await self._parts.webhooks.find(caller.require_org(), wanted.webhook_id, caller.tenant)

    async def _owner(self, caller: Caller, body: NewFields) -> Owner:
        """Raises Refused(INVALID_BODY) where the caller has no such tenant."""
        if caller.tenant is not None and body.tenant_id in (None, caller.tenant):
            return caller.tenant
        if body.tenant_id is None:
            return caller.require_org()
        try:
            caller.check_may_name(body.tenant_id)
            tenant = await self._parts.tenants.get(body.tenant_id)
            caller.check_sees(tenant.org, tenant.id)
        except Refused as refused:
            if refused.problem is NOT_FOUND:
                raise invalid({"tenant_id": "names no tenant"}) from None
            raise
        if tenant.status is Status.ARCHIVED:
            raise invalid({"tenant_id": "names an archived tenant"})
        return tenant.id

    def _check(self, url: str) -> None:
        """What can be told without asking for the host's address; that is looked at whenever something is delivered."""
        try:
            self._parts.webhook_rules.check(url)
        except ValueError as fault:
            raise invalid({"url": str(fault)}) from None


def webhook_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls, scope = _Calls(parts), "write:webhooks"
    return (
        endpoint(
            "POST",
            "",
            calls.create,
            name="createWebhook",
            summary="Make a webhook; its secret is shown this once",
            parameters=Nothing,
            body=NewFields,
            answer=WebhookMade,
            status=201,
            scope=scope,
            errors=(NOT_FOUND, TOO_MANY_WEBHOOKS, WRITE_CONFLICT),
            example=Example({**EXAMPLE, **SECRET}, {"url": EXAMPLE["url"], "events": EXAMPLE["events"]}),
        ),
        endpoint(
            "GET",
            "",
            calls.list,
            name="listWebhooks",
            summary="List webhooks, the newest first",
            parameters=Listing,
            body=Nothing,
            answer=listed(WebhookShown),
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example({"data": [EXAMPLE], "next_cursor": None}, parameters={"limit": "20"}),
        ),
        endpoint(
            "GET",
            "/{webhook_id}",
            calls.show,
            name="getWebhook",
            summary="Show a webhook",
            parameters=OneWebhook,
            body=Nothing,
            answer=WebhookShown,
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example(EXAMPLE, parameters=NAMED),
            tagged=True,
        ),
        endpoint(
            "PATCH",
            "/{webhook_id}",
            calls.change,
            name="updateWebhook",
            summary="Change the fields that are present",
            parameters=OneWebhook,
            body=ChangedFields,
            answer=WebhookShown,
            scope=scope,
            errors=(NOT_FOUND, WRITE_CONFLICT, PRECONDITION_FAILED),
            example=Example(EXAMPLE, {"events": EXAMPLE["events"], "enabled": True}, NAMED),
            tagged=True,
        ),
        endpoint(
            "DELETE",
            "/{webhook_id}",
            calls.delete,
            name="deleteWebhook",
            summary="Delete a webhook, with what waits for it",
            parameters=OneWebhook,
            body=Nothing,
            answer=WebhookShown,
            scope=scope,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example(EXAMPLE, parameters=NAMED),
        ),
        endpoint(
            "POST",
            "/{webhook_id}/roll-secret",
            calls.roll_secret,
            name="rollWebhookSecret",
            summary="Give a webhook a new secret, which is shown this once",
            parameters=OneWebhook,
            body=Roll,
            answer=WebhookMade,
            scope=scope,
            status=201,
            errors=(NOT_FOUND, WRITE_CONFLICT),
            example=Example({**EXAMPLE, **SECRET}, {"overlap_seconds": 3600}, NAMED),
        ),
        *delivery_endpoints(parts, scope),
    )
