"""Part of `webhooks`: what was delivered, what could not be, and sending it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from gateway.api.cursor import Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.errors import NOT_FOUND, TOO_MANY_EVENTS, Refused
from gateway.registry.webhooks import Held
from gateway.tenancy.ids import parse_id, typeid
from gateway.webhooks.event import trial
from gateway.webhooks.letters import Letter, Noted
from gateway.webhooks.queue import OUTCOMES, Target, Told

from .webhook_view import NAMED, OneWebhook

_PLACE = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class OfWebhook(OneWebhook, Paged):
    pass


class OneLetter(OneWebhook):
    delivery_id: Annotated[str, Field(pattern=f"^{_PLACE.pattern}$")]


class DeadLetterShown(Shape):
    """An event that the endpoint has not taken."""

    id: str
    """By which it can be sent again."""
    event_id: str
    """What receivers know the event by: `webhook-id`."""
    type: str
    tenant_id: str | None
    attempts: int
    status: int | None
    """What the endpoint has answered last; null: nothing."""
    error: str | None
    at: str
    """When the last attempt began."""
    event: dict[str, Any]
    """What was to be delivered."""


class DeliveryShown(Shape):
    """One attempt to deliver an event."""

    id: str
    event_id: str
    """What receivers know the event by: `webhook-id`."""
    type: str
    tenant_id: str | None
    attempt: int
    outcome: str
    """`delivered`; `failed`: it is tried again; `dead`: it is a dead letter; `lost`: it was a test."""
    status: int | None
    """What the endpoint has answered; null: nothing."""
    error: str | None
    duration_ms: int
    at: str
    next_attempt_at: str | None


class Queued(Shape):
    """An event that is on its way."""

    event_id: str
    """What receivers know the event by: `webhook-id`."""


class Replayed(Shape):
    replayed: int
    """How many dead letters are on their way again."""
    left: int
    """How many there are still: repeat the call."""


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def test(self, asked: Asked[OneWebhook, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        now = self._parts.clock.now()
        event = trial(held.org, held.tenant, datetime.fromtimestamp(now, UTC).isoformat())
        if not await self._parts.events.test(Target.of(held), event, now):
            raise Refused(TOO_MANY_EVENTS)
        return Answered({"event_id": event.id})

    async def deliveries(self, asked: Asked[OfWebhook, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        found, end = await self._parts.letters.attempts(Target.of(held), asked.parameters.limit, _below(asked.parameters))
        return Answered(page([_delivery(noted) for noted in found], None if end is None else (end,)))

    async def dead(self, asked: Asked[OfWebhook, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        found, end = await self._parts.letters.dead(Target.of(held), asked.parameters.limit, _below(asked.parameters))
        return Answered(page([_dead_letter(letter) for letter in found], None if end is None else (end,)))

    async def replay(self, asked: Asked[OneLetter, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        now = self._parts.clock.now()
        letter = await self._parts.letters.replay(Target.of(held), asked.parameters.delivery_id, now)
        return Answered({"event_id": letter.event.id})

    async def replay_all(self, asked: Asked[OneWebhook, Nothing]) -> Answered:
        held = await self._find(asked.caller, asked.parameters)
        replayed, left = await self._parts.letters.replay_all(Target.of(held), self._parts.clock.now())
        return Answered({"replayed": replayed, "left": left})

    async def _find(self, caller: Caller, wanted: OneWebhook) -> Held:
        return await self._parts.webhooks.find(caller.require_org(), wanted.webhook_id, caller.tenant)


def delivery_endpoints(parts: Parts, scope: str) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "POST",
            "/{webhook_id}/test",
            calls.test,
            name="testWebhook",
            summary="Send an event of type webhook.test, once",
            parameters=OneWebhook,
            body=Nothing,
            answer=Queued,
            status=202,
            scope=scope,
            errors=(NOT_FOUND, TOO_MANY_EVENTS),
            example=Example(QUEUED, parameters=NAMED),
        ),
        endpoint(
            "GET",
            "/{webhook_id}/deliveries",
            calls.deliveries,
            name="listDeliveries",
            summary="List the last attempts, the newest first",
            parameters=OfWebhook,
            body=Nothing,
            answer=listed(DeliveryShown),
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example({"data": [DELIVERY], "next_cursor": None}, parameters=NAMED),
        ),
        endpoint(
            "GET",
            "/{webhook_id}/dead-letters",
            calls.dead,
            name="listDeadLetters",
            summary="List what could not be delivered, the newest first",
            parameters=OfWebhook,
            body=Nothing,
            answer=listed(DeadLetterShown),
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example({"data": [LETTER], "next_cursor": None}, parameters=NAMED),
        ),
        endpoint(
            "POST",
            "/{webhook_id}/dead-letters/{delivery_id}/replay",
            calls.replay,
            name="replayDeadLetter",
            summary="Send a dead letter again",
            parameters=OneLetter,
            body=Nothing,
            answer=Queued,
            status=202,
            scope=scope,
            errors=(NOT_FOUND, TOO_MANY_EVENTS),
            example=Example(QUEUED, parameters={**NAMED, "delivery_id": str(LETTER["id"])}),
        ),
        endpoint(
            "POST",
            "/{webhook_id}/dead-letters/replay",
            calls.replay_all,
            name="replayDeadLetters",
            summary="Send all dead letters again, at most 1,000 in one call",
            parameters=OneWebhook,
            body=Nothing,
            answer=Replayed,
            status=202,
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example({"replayed": 12, "left": 0}, parameters=NAMED),
        ),
    )


QUEUED = {"event_id": "evt_4b0c3f5c7a6f1d2e8f9a0b1c2d3e4f50"}
_TENANT = "tnt_01kj9je6hbfgyrwkttbdjcv7gf"
DELIVERY = {
    "id": "1782036000000-0",
    **QUEUED,
    "type": "tenant.suspended",
    "tenant_id": _TENANT,
    "attempt": 1,
    "outcome": "failed",
    "status": 503,
    "error": "answered 503",
    "duration_ms": 84,
    "at": "2026-06-21T10:00:00Z",
    "next_attempt_at": "2026-06-21T10:00:04Z",
}
LETTER = {
    "id": "1782136000000-0",
    **QUEUED,
    "type": "tenant.suspended",
    "tenant_id": _TENANT,
    "attempts": 8,
    "status": 503,
    "error": "answered 503",
    "at": "2026-06-22T13:00:00Z",
    "event": {
        "id": QUEUED["event_id"],
        "type": "tenant.suspended",
        "created_at": "2026-06-21T10:00:00Z",
        "org": "main",
        "tenant_id": _TENANT,
        "data": {"changed": {"status": {"old": "active", "new": "suspended"}}},
    },
}


def _below(paged: Paged) -> str | None:
    below = position_of(paged.cursor, _PLACE)
    return None if below is None else below[0]


def _tenant(told: Told) -> str | None:
    """A lane is named after the tenant, but for that of tests."""
    tenant = parse_id("tnt", told.lane)
    return None if tenant is None else typeid("tnt", tenant)


def _delivery(noted: Noted) -> Mapping[str, object]:
    told = noted.told
    return {
        "id": noted.id,
        "event_id": told.event,
        "type": told.type,
        "tenant_id": _tenant(told),
        "attempt": told.attempt,
        "outcome": OUTCOMES[told.fate],
        "status": told.status,
        "error": told.error,
        "duration_ms": round(told.seconds * 1000),
        "at": timestamp(told.at),
        "next_attempt_at": None if told.next_at is None else timestamp(told.next_at),
    }


def _dead_letter(letter: Letter) -> Mapping[str, object]:
    told = letter.told
    return {
        "id": letter.id,
        "event_id": told.event,
        "type": told.type,
        "tenant_id": _tenant(told),
        "attempts": told.attempt,
        "status": told.status,
        "error": told.error,
        "at": timestamp(told.at),
        "event": letter.event.fields(),
    }
