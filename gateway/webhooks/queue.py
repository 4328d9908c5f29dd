"""Events that wait for webhooks: in lanes, one for each webhook and tenant, of which the first is due at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.registry.owner import Owner, read_owner, write_owner
from gateway.registry.webhooks import Held
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

from .event import Event, Waiting

WAITING_MAX = 10_000
"""Events for one webhook. Further ones become dead letters."""
LETTERS_MAX, ATTEMPTS_MAX = 10_000, 1_000
KEPT_MS = 30 * 86400 * 1000
"""For how long dead letters and attempts are kept."""
_TESTS_MAX = 10
_AT_ONCE, _ONCE_MS = 50, 40 * 86400 * 1000

_ENQUEUE = Script.load("gateway.webhooks", "enqueue")
_SETTLE = Script.load("gateway.webhooks", "settle")

Fate = Literal["done", "again", "dead", "lost", "gone"]
OUTCOMES: Mapping[Fate, str] = {"done": "delivered", "again": "failed", "dead": "dead", "lost": "lost"}
"""As others are told of an attempt."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as the queue knows it: by its id, and in whose record it is found."""

    org: str
    webhook: str
    owner: Owner

    @property
    def name(self) -> str:
        return f"{self.webhook} {write_owner(self.owner)}"

    @classmethod
    def of(cls, held: Held) -> Target:
        return cls(held.org, held.webhook.id, held.owner)


@dataclass(frozen=True, slots=True)
class Told:
    """What is kept of an attempt: in the log, and with a dead letter. `status` and `error` are as the attempt ended; `at` and
    `next_at` in seconds since 1970, `seconds` how long it took."""

    event: str
    type: str
    lane: str
    attempt: int
    fate: Fate
    at: float
    status: int | None = None
    error: str | None = None
    seconds: float = 0.0
    next_at: float | None = None

    @property
    def text(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))

    @classmethod
    def read(cls, text: bytes) -> Told:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Arrival:
    target: Target
    event: Event


@dataclass(frozen=True, slots=True)
class _Step:
    """A number in the store that goes from `before` to `after` when events are queued, for one caller alone. `kept`: after how
    many milliseconds it is forgotten, 0: never."""

    key: str
    before: int
    after: int
    kept: int = 0


class Queue:
    """Instants are in seconds since 1970. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def followed(self, org: str) -> int:
        """Number of the last entry of the audit trail whose events are queued."""
        number = await self._command("GET", self._store.keys.webhook_cursor(org))
        return int(number) if isinstance(number, bytes) else 0

    async def follow(self, org: str, after: int, entries: Sequence[tuple[int, Sequence[Arrival]]], now: float) -> bool:
        """Queue the events of `entries`, each with its number, that follow the entry `after`. Each is queued once, whoever
        else tries; False where somebody else did."""
        batch: list[Arrival] = []
        last = after
        for place, (number, arrivals) in enumerate(entries):
            batch += arrivals
            if len(batch) >= _AT_ONCE or (place == len(entries) - 1):
                step = _Step(self._store.keys.webhook_cursor(org), last, number)
                if await self._enqueue(org, batch, now, step) < 0:
                    return False
                batch, last = [], number
        return True

    async def once(self, org: str, key: str, arrivals: Sequence[Arrival], now: float) -> bool:
        """Queue the same event for several webhooks, unless that was done under this key of the store within 40 days."""
        return await self._enqueue(org, arrivals, now, _Step(key, 0, 1, _ONCE_MS)) >= 0

    async def test(self, target: Target, event: Event, now: float) -> bool:
        """Queue an event of which nobody is told but who has asked for it; False where too many of them wait."""
        lane = self._store.keys.webhook_lane(target.org, target.webhook, event.lane)
        waiting = await self._command("LLEN", lane)
        if not isinstance(waiting, int) or waiting >= _TESTS_MAX:
            return False
        return await self._enqueue(target.org, [Arrival(target, event)], now) == 1

    async def due(self, org: str, now: float, most: int) -> list[Target]:
        """Webhooks for which something is due, those first that have waited longest."""
        reply = await self._until(self._store.keys.webhooks_due(org), now, most)
        parts = [name.partition(" ") for name in reply]
        return [Target(org, webhook, read_owner(owner.encode())) for webhook, _, owner in parts]

    async def lanes(self, target: Target, now: float, most: int) -> list[str]:
        """Those of its lanes that are due."""
        return await self._until(self._store.keys.webhook_lanes(target.org, target.webhook), now, most)

    async def first(self, target: Target, lane: str) -> Waiting | None:
        text = await self._command("LINDEX", self._store.keys.webhook_lane(target.org, target.webhook, lane), 0)
        return Waiting.read(text) if isinstance(text, bytes) else None

    async def settle(self, target: Target, lane: str, waiting: Waiting, told: Told) -> bool:
        """Do with the first event of the lane what is `told`. False where it is not the first any more."""
        keys, org, webhook = self._store.keys, target.org, target.webhook
        named = [
            keys.webhook_lane(org, webhook, lane),
            keys.webhook_lanes(org, webhook),
            keys.webhooks_due(org),
            keys.webhooks_waiting(org),
            keys.dead_letters(org, webhook),
            keys.webhook_log(org, webhook),
        ]
        due = told.at if told.next_at is None else told.next_at
        kept = replace(waiting, attempts=waiting.attempts + 1).text if told.fate == "again" else waiting.event.body
        args: list[Part] = [target.name, lane, waiting.text, told.fate, _ms(due), kept, told.text]
        args += [ATTEMPTS_MAX, LETTERS_MAX, KEPT_MS]
        return await self._store.control.run(_SETTLE, named, args) == 1

    async def _enqueue(self, org: str, batch: Sequence[Arrival], now: float, step: _Step | None = None) -> int:
        keys = self._store.keys
        place = keys.webhook_cursor(org) if step is None else step.key
        named = [place, keys.webhooks_due(org), keys.webhooks_waiting(org)]
        args: list[Part] = ["", ""] if step is None else [step.before, step.after]
        args += [_ms(now), WAITING_MAX, LETTERS_MAX, KEPT_MS, 0 if step is None else step.kept]
        for arrival in batch:
            webhook, event = arrival.target.webhook, arrival.event
            named.append(keys.webhook_lane(org, webhook, event.lane))
            named += (keys.webhook_lanes(org, webhook), keys.dead_letters(org, webhook))
            unplaced = Told(event.id, event.type, event.lane, 0, "dead", now, error="too many events were waiting")
            args += (arrival.target.name, event.lane, Waiting(event).text, event.body, unplaced.text)
        queued = await self._store.control.run(_ENQUEUE, named, args)
        assert isinstance(queued, int)
        return queued

    async def _until(self, key: str, now: float, most: int) -> list[str]:
        reply = await self._command("ZRANGEBYSCORE", key, "-inf", _ms(now), "LIMIT", 0, most)
        assert isinstance(reply, list)
        return [name.decode() for name in reply if isinstance(name, bytes)]

    async def _command(self, *parts: Part) -> Reply:
        return await self._store.control.command(*parts)


def _ms(instant: float) -> int:
    return int(instant * 1000)
