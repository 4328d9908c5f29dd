"""Counters of a tenant or an organization, to be written down somewhere else and put back: what was used, and what exists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, NonNegativeInt, StringConstraints

from gateway.clock import Clock
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Reply

from .naming import KEPT_MONTHS, expiry_of

_RESTORE = Script.load("gateway.ledger", "restore_counters")

Period = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
Counts = dict[str, NonNegativeInt]


class Carried(BaseModel):
    """Units by metric and period; by metric and credential, and period; what of them was told to whom who bills; resources by
    name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usage: dict[Period, Counts] = {}
    credentials: dict[Period, Counts] = {}
    billed: dict[Period, Counts] = {}
    resources: Counts = {}


class Carry:
    """Counters are read as they stand. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, tag: str, since: float) -> Carried:
        """Of the periods since that of the instant `since`, as far as they are kept."""
        keys, periods = self._store.keys, self._periods(since)
        named = [keys.resources(tag)]
        named += [keys.usage(tag, period) for period in periods]
        named += [keys.credential_usage(tag, period) for period in periods]
        named += [keys.billed(tag, period) for period in periods]
        replies = await self._store.control.gather([("HGETALL", key) for key in named])
        counts = [_counts(reply) for reply in replies]
        usage, credentials, billed = (counts[1 + kind * len(periods) :][: len(periods)] for kind in range(3))
        return Carried(
            usage=_known(periods, usage),
            credentials=_known(periods, credentials),
            billed=_known(periods, billed),
            resources=counts[0],
        )

    async def restore(self, tag: str, carried: Carried) -> None:
        """A counter that is there stays as it is."""
        keys = self._store.keys
        await self._set(keys.resources(tag), 0, carried.resources)
        for period, counts in carried.usage.items():
            await self._set(keys.usage(tag, period), expiry_of(period), counts)
        for period, counts in carried.credentials.items():
            await self._set(keys.credential_usage(tag, period), expiry_of(period), counts)
        for period, counts in carried.billed.items():
            await self._set(keys.billed(tag, period), expiry_of(period), counts)

    async def _set(self, key: str, expires: int, counts: Mapping[str, int]) -> None:
        if counts and (expires == 0 or expires > self._clock.now()):
            pairs = [part for pair in counts.items() for part in pair]
            await self._store.control.run(_RESTORE, [key], [expires, *pairs])

    def _periods(self, since: float) -> list[str]:
        last = _month(self._clock.now())
        first = max(_month(since), last - KEPT_MONTHS)
        return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]


def _month(instant: float) -> int:
    at = datetime.fromtimestamp(instant, UTC)
    return at.year * 12 + at.month - 1


def _known(periods: list[str], counts: list[Counts]) -> dict[str, Counts]:
    return {period: units for period, units in zip(periods, counts, strict=True) if units}


def _counts(reply: Reply) -> Counts:
    assert isinstance(reply, list)
    texts = [part.decode() for part in reply if isinstance(part, bytes)]
    return {name: int(value) for name, value in zip(texts[::2], texts[1::2], strict=True)}
