"""What was attempted for a webhook, and what it could not be told: listed, and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import NOT_FOUND, TOO_MANY_EVENTS, Refused
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Part

from .event import Event, Waiting
from .queue import WAITING_MAX, Target, Told

_REVIVE = Script.load("gateway.webhooks", "revive")
_AT_ONCE = 100
REPLAY_MAX = 1_000
"""Dead letters that one call sends again."""
NO_LETTER = "No dead letter has this id; it may have been sent again already."


@dataclass(frozen=True, slots=True)
class Noted:
    """`id` is unique among those of the webhook, and grows with time."""

    id: str
    told: Told


@dataclass(frozen=True, slots=True)
class Letter(Noted):
    event: Event


class Letters:
    """Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def attempts(self, target: Target, limit: int, below: str | None) -> tuple[list[Noted], str | None]:
        """The newest first, and the id below which the list goes on; None: nowhere."""
        found = await self._newest(self._store.keys.webhook_log(target.org, target.webhook), limit, below)
        noted = [Noted(name, Told.read(fields[b"told"])) for name, fields in found]
        return noted[:limit], noted[limit - 1].id if len(noted) > limit else None

    async def dead(self, target: Target, limit: int, below: str | None) -> tuple[list[Letter], str | None]:
        """Likewise."""
        found = await self._newest(self._dead(target), limit, below)
        letters = [_letter(name, fields) for name, fields in found]
        return letters[:limit], letters[limit - 1].id if len(letters) > limit else None

    async def replay(self, target: Target, letter_id: str, now: float) -> Letter:
        """Send it again, after what waits for the same tenant. Raises Refused(NOT_FOUND, TOO_MANY_EVENTS)."""
        found = _entries(await self._store.control.command("XRANGE", self._dead(target), letter_id, letter_id))
        if not found:
            raise Refused(NOT_FOUND, NO_LETTER)
        letter = _letter(*found[0])
        revived = await self._revive(target, letter, now)
        if revived < 0:
            raise Refused(TOO_MANY_EVENTS)
        if revived == 0:
            raise Refused(NOT_FOUND, NO_LETTER)
        return letter

    async def replay_all(self, target: Target, now: float) -> tuple[int, int]:
        """Send at most REPLAY_MAX again, the oldest first; how many that were, and how many are left."""
        revived, after = 0, "-"
        last = await self._newest(self._dead(target), 0, None)
        while last and revived < REPLAY_MAX:
            # Not past what was dead at the start: what dies again would come again for ever.
            command = ("XRANGE", self._dead(target), after, last[0][0], "COUNT", _AT_ONCE)
            found = [_letter(*one) for one in _entries(await self._store.control.command(*command))]
            if not found:
                break
            for letter in found:
                outcome = await self._revive(target, letter, now)
                if outcome < 0:
                    return revived, await self._left(target)
                revived += outcome
            after = f"({found[-1].id}"
        return revived, await self._left(target)

    async def forget(self, target: Target) -> None:
        """All of a webhook that was deleted."""
        keys = self._store.keys
        logged, dead = keys.webhook_log(target.org, target.webhook), self._dead(target)
        await self._store.control.gather([("DEL", logged), ("DEL", dead)])

    async def _revive(self, target: Target, letter: Letter, now: float) -> int:
        keys, org, webhook = self._store.keys, target.org, target.webhook
        lane = letter.event.lane
        named = [self._dead(target), keys.webhook_lane(org, webhook, lane), keys.webhook_lanes(org, webhook)]
        named += (keys.webhooks_due(org), keys.webhooks_waiting(org))
        args: list[Part] = [letter.id, target.name, lane, Waiting(letter.event).text, int(now * 1000), WAITING_MAX]
        outcome = await self._store.control.run(_REVIVE, named, args)
        assert isinstance(outcome, int)
        return outcome

    async def _left(self, target: Target) -> int:
        left = await self._store.control.command("XLEN", self._dead(target))
        assert isinstance(left, int)
        return left

    async def _newest(self, key: str, limit: int, below: str | None) -> list[tuple[str, dict[bytes, bytes]]]:
        """One more than `limit`, to see whether there is one."""
        end = "+" if below is None else f"({below}"
        return _entries(await self._store.control.command("XREVRANGE", key, end, "-", "COUNT", limit + 1))

    def _dead(self, target: Target) -> str:
        return self._store.keys.dead_letters(target.org, target.webhook)


def _letter(name: str, fields: dict[bytes, bytes]) -> Letter:
    return Letter(name, Told.read(fields[b"told"]), Event.read(fields[b"body"]))


def _entries(reply: object) -> list[tuple[str, dict[bytes, bytes]]]:
    assert isinstance(reply, list)
    return [(name.decode(), _fields(fields)) for name, fields in reply]


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
