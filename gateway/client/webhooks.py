"""Where a platform, or a tenant, is told of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Unpack

from .answers import DeadLetter, Delivery, MadeWebhook, NewWebhook, Queued, Replayed, Webhook, WebhookChange
from .connection import Connection, matching


class Webhooks:
    """A tenant's own key reaches those of its tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, **fields: Unpack[NewWebhook]) -> MadeWebhook:
        """Without `tenant_id` it is told of all tenants of the organization."""
        made: MadeWebhook = await self._connection.send("POST", "/webhooks", body=fields)
        return made

    def list(self, tenant_id: str | None = None) -> AsyncIterator[Webhook]:
        return self._connection.each("/webhooks", {"limit": 100, "tenant_id": tenant_id})

    async def get(self, webhook_id: str) -> Webhook:
        return (await self.tagged(webhook_id))[0]

    async def tagged(self, webhook_id: str) -> tuple[Webhook, str]:
        """A webhook with its `ETag`, for `update`."""
        answer = await self._connection.answer("GET", f"/webhooks/{webhook_id}")
        return answer.json(), answer.headers["etag"]

    async def update(self, webhook_id: str, *, if_match: str | None = None, **fields: Unpack[WebhookChange]) -> Webhook:
        """With `if_match`, an `ETag`: only if nobody has changed it since, else Refusal PRECONDITION_FAILED."""
        headers = matching(if_match)
        webhook: Webhook = await self._connection.send("PATCH", f"/webhooks/{webhook_id}", body=fields, headers=headers)
        return webhook

    async def delete(self, webhook_id: str) -> Webhook:
        webhook: Webhook = await self._connection.send("DELETE", f"/webhooks/{webhook_id}")
        return webhook

    async def roll_secret(self, webhook_id: str, overlap_seconds: int = 0) -> MadeWebhook:
        """The old secret signs beside the new one for `overlap_seconds` more."""
        path, body = f"/webhooks/{webhook_id}/roll-secret", {"overlap_seconds": overlap_seconds}
        made: MadeWebhook = await self._connection.send("POST", path, body=body)
        return made

    async def test(self, webhook_id: str) -> Queued:
        """Send it an event that tells of nothing."""
        queued: Queued = await self._connection.send("POST", f"/webhooks/{webhook_id}/test")
        return queued

    def deliveries(self, webhook_id: str) -> AsyncIterator[Delivery]:
        """The latest attempts first."""
        return self._connection.each(f"/webhooks/{webhook_id}/deliveries", {"limit": 100})

    def dead_letters(self, webhook_id: str) -> AsyncIterator[DeadLetter]:
        """What could not be delivered, the latest first."""
        return self._connection.each(f"/webhooks/{webhook_id}/dead-letters", {"limit": 100})

    async def replay(self, webhook_id: str, delivery_id: str) -> Queued:
        """Deliver a dead letter once more."""
        path = f"/webhooks/{webhook_id}/dead-letters/{delivery_id}/replay"
        queued: Queued = await self._connection.send("POST", path)
        return queued

    async def replay_all(self, webhook_id: str) -> Replayed:
        """Deliver dead letters once more; `left`: how many are still to be replayed."""
        replayed: Replayed = await self._connection.send("POST", f"/webhooks/{webhook_id}/dead-letters/replay")
        return replayed
