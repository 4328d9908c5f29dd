"""A webhook as the platform's API reads and shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.api.parameters import Input
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.registry.webhooks import Held
from gateway.tenancy.ids import typeid
from gateway.tenancy.webhook import EVENTS

WEBHOOK_ID = re.compile(r"whk_[0-7][0-9a-hjkmnp-tv-z]{25}")


def _kinds(events: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [number for number, event in enumerate(events) if event not in EVENTS]:
        raise ValueError(f"number {unknown[0]} must be one of: {', '.join(EVENTS)}")
    return tuple(dict.fromkeys(events))


Url = Annotated[str, Field(max_length=2048)]
Events = Annotated[
    tuple[str, ...],
    Field(min_length=1, max_length=50, json_schema_extra={"items": {"type": "string", "enum": [*EVENTS]}}),
    AfterValidator(_kinds),
]


class OneWebhook(Input):
    webhook_id: Annotated[str, Field(pattern=f"^{WEBHOOK_ID.pattern}$")]


class WebhookShown(Shape):
    """Where a platform or one of its tenants is told of what happens."""

    id: str
    tenant_id: str | None
    """Whose it is, and of whom it is told; null: the platform's, of all its tenants."""
    url: str
    events: list[str] | None
    """The kinds that it is told of; null: all, those to come included."""
    description: str | None
    enabled: bool
    created_at: str
    updated_at: str


class WebhookMade(WebhookShown):
    """The webhook, and a new secret."""

    secret: str
    """What deliveries are signed with. It is nowhere shown again."""


def webhook_view(held: Held) -> Mapping[str, object]:
    webhook = held.webhook
    return {
        "id": webhook.id,
        "tenant_id": None if held.tenant is None else typeid("tnt", held.tenant),
        "url": webhook.url,
        "events": None if webhook.events is None else list(webhook.events),
        "description": webhook.description or None,
        "enabled": webhook.enabled,
        "created_at": timestamp(webhook.created_at),
        "updated_at": timestamp(webhook.updated_at),
    }


NAMED = {"webhook_id": "whk_01kj9je6hbfgyrwkttbdjcv7gf"}
SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw5pKyhEoZf5c="}
EXAMPLE = {
    "id": NAMED["webhook_id"],
    "tenant_id": None,
    "url": "https://example.com/hooks/tenants",
    "events": ["tenant.created", "tenant.suspended"],
    "description": None,
    "enabled": True,
    "created_at": "2026-06-21T10:00:00Z",
    "updated_at": "2026-06-21T11:00:00Z",
}
