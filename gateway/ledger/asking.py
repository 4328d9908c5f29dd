"""Asking the store for what a request demands: one call for each group of keys, the next one where all before it have granted.

Where a later one refuses, what the earlier ones have lent goes back before that is told: a refused request has taken nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.pipeline.lookup import Record
from gateway.store.connect import Store
from gateway.store.script import Script

from .ask import Ask
from .exchange import AT_ONCE, Exchange
from .item import Acknowledged

_ADMIT = Script.load("gateway.ledger", "admit", before="buckets")
BACK_WITHIN = 0.1
"""Seconds that a refusal waits until the store knows what goes back: it will in the end, or it comes back with its lease."""


class Kind(IntEnum):
    """As admit.lua numbers them."""

    GRANTED = 0
    DENIED = 1
    CHANGED = 2
    PERIOD = 3
    RECALLED = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """`now` is the store's time, in microseconds since 1970. `changed`: records that have another version; `leased`: those that
    the store has leased."""

    kind: Kind
    now: int
    changed: Sequence[Record] = ()
    leased: Sequence[Record] = ()


class Asking:
    def __init__(self, store: Store, exchange: Exchange, clock: Clock, store_time: Callable[[], int | None]) -> None:
        self._store = store
        self._exchange = exchange
        self._clock = clock
        self._store_time = store_time

    async def put(self, ask: Ask, *, recall: bool) -> Verdict:
        """`recall` is as in `Ask.call`. Raises Refused(STORE_UNAVAILABLE)."""
        leased = list[Record]()
        for group in ask.groups:
            undecided = group != ask.groups[-1]
            keys, args = ask.call(group, self._store_time(), self._clock.monotonic(), undecided=undecided, recall=recall)
            try:
                reply = await self._store.data.run(_ADMIT, keys, args)
            except Refused:
                ask.unanswered(group)
                await self._give_back(ask)
                raise
            assert isinstance(reply, list)
            verdict, now, *numbers = (number for number in reply if isinstance(number, int))
            kind = Kind(verdict)
            if kind in (Kind.GRANTED, Kind.DENIED):
                ask.answered(group, numbers, lent=undecided and kind is Kind.GRANTED)
                leased += ask.records(group)
            if kind is not Kind.GRANTED:
                await self._give_back(ask)
                changed = [ask.records(group)[place - 1] for place in numbers] if kind is Kind.CHANGED else ()
                return Verdict(kind, now, changed, leased)
        return Verdict(kind, now, leased=leased)

    async def _give_back(self, ask: Ask) -> None:
        items = [Acknowledged(item) for item in ask.returns()]
        ask.release()
        for item in items:
            self._exchange.add(item, AT_ONCE)
        if items:
            await asyncio.wait([item.done for item in items], timeout=BACK_WITHIN)
