"""Webhooks as they stand in their owner's record: their secrets encrypted, and their URLs too, which may hold a token."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NotRequired, TypedDict

from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.webhook import Webhook

from .cipher import Cipher


class WebhookDocument(TypedDict):
    id: str
    sealed: str
    created_at: float
    created_by: str
    updated_at: float
    events: NotRequired[list[str]]
    description: NotRequired[str]
    disabled: NotRequired[bool]


class _Sealed(TypedDict):
    url: str
    secrets: list[tuple[str, str, float, float | None]]


def encode_webhooks(webhooks: Iterable[Webhook], cipher: Cipher) -> list[WebhookDocument]:
    return [_encode(webhook, cipher) for webhook in webhooks]


def decode_webhooks(documents: Iterable[WebhookDocument], cipher: Cipher) -> tuple[Webhook, ...]:
    """Raises Refused(SECRETS_UNREADABLE)."""
    return tuple(_decode(document, cipher) for document in documents)


def sealed_webhooks(documents: Sequence[WebhookDocument]) -> Iterator[str]:
    """What of them is encrypted, as it is."""
    return (document["sealed"] for document in documents)


def _encode(webhook: Webhook, cipher: Cipher) -> WebhookDocument:
    secrets = [(one.id, one.value.hex(), one.created_at, one.not_after) for one in webhook.secrets]
    held: _Sealed = {"url": webhook.url, "secrets": secrets}
    document: WebhookDocument = {
        "id": webhook.id,
        "sealed": cipher.encrypt(json.dumps(held).encode(), _context(webhook.id)),
        "created_at": webhook.created_at,
        "created_by": webhook.created_by,
        "updated_at": webhook.updated_at,
    }
    if webhook.events is not None:
        document["events"] = [*webhook.events]
    if webhook.description:
        document["description"] = webhook.description
    if not webhook.enabled:
        document["disabled"] = True
    return document


def _decode(document: WebhookDocument, cipher: Cipher) -> Webhook:
    held: _Sealed = json.loads(cipher.decrypt(document["sealed"], _context(document["id"])))
    events = document.get("events")
    return Webhook(
        id=document["id"],
        url=held["url"],
        secrets=tuple(SigningSecret(name, bytes.fromhex(value), made, end) for name, value, made, end in held["secrets"]),
        created_at=document["created_at"],
        created_by=document["created_by"],
        updated_at=document["updated_at"],
        events=None if events is None else tuple(events),
        description=document.get("description", ""),
        enabled=not document.get("disabled", False),
    )


def _context(webhook: str) -> str:
    return f"webhook/{webhook}"
