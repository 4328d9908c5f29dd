"""From the audit trail to the queue: what was changed becomes an event for each webhook that wants to know."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from gateway.clock import Clock
from gateway.registry.audit import CHUNK, Audit
from gateway.registry.audit_entry import Entry
from gateway.registry.webhooks import Webhooks
from gateway.tenancy.webhook import Webhook

from .event import Event, event_of
from .queue import Arrival, Queue, Target

_log = logging.getLogger(__name__)


class Follower:
    """An entry is written in the very step of its change, and the trail is followed to a number that moves in the step that
    queues the events: none is lost in between, and none is queued twice."""

    def __init__(self, audit: Audit, webhooks: Webhooks, queue: Queue, clock: Clock) -> None:
        self._audit = audit
        self._webhooks = webhooks
        self._queue = queue
        self._clock = clock

    async def follow(self, org: str) -> bool:
        """The next entries of an organization; whether there may be more. Raises Refused(STORE_UNAVAILABLE,
        SECRETS_UNREADABLE)."""
        after = await self._queue.followed(org)
        # What a change that has died left behind joins the trail first.
        await self._audit.count(org)
        chunk = await self._audit.chunk(org, after)
        if not chunk:
            return False
        if after and chunk[0][0] > after + 1:
            _log.error("webhooks of %s miss %d changes: the audit trail has been cut", org, chunk[0][0] - after - 1)
        arrivals = await self._arrivals(org, [entry for _, entry in chunk])
        numbered = [(number, wanted) for (number, _), wanted in zip(chunk, arrivals, strict=True)]
        return await self._queue.follow(org, after, numbered, self._clock.now()) and len(chunk) == CHUNK

    async def _arrivals(self, org: str, entries: Sequence[Entry]) -> list[list[Arrival]]:
        events = [event_of(entry) for entry in entries]
        tenants = list({event.tenant for event in events if event is not None and event.tenant is not None})
        found = dict(zip(tenants, await self._webhooks.tenants(tenants), strict=True))
        record = await self._webhooks.record(org)
        firehoses = () if record is None else record.webhooks

        def arrivals(event: Event | None) -> list[Arrival]:
            if event is None:
                return []
            own = None if event.tenant is None else found[event.tenant]
            wanted = wanting(org, org, firehoses, event)
            return wanted + (wanting(org, own.id, own.webhooks, event) if own is not None else [])

        return [arrivals(event) for event in events]


def wanting(org: str, owner: UUID | str, webhooks: Sequence[Webhook], event: Event) -> list[Arrival]:
    return [Arrival(Target(org, hook.id, owner), event) for hook in webhooks if hook.wants(event.type, event.at)]
