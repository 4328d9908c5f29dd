"""The ledger: all I/O that a decision needs from the store.

One atomic script call takes everything that a request demands. It names the versions of the records that the request was
decided under: the store refuses it if one has changed, and leases the records anew if none has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Part, Reply
from gateway.tenancy.period import period_of

from .ask import Ask
from .charge import Charge, Effect, HeldResource, HeldSlot, HeldUnits, Outcome
from .slots import Slots

__all__ = ["Effect", "Ledger", "Outcome"]

_log = logging.getLogger(__name__)

_ADMIT = Script.load("gateway.ledger", "admit")
_SETTLE = Script.load("gateway.ledger", "settle")

_GRANTED, _DENIED, _CHANGED, _PERIOD = range(4)
# A try is wasted where a period has just ended; two in one call mean that the clocks are mad.
_TRIES = 3
_BATCH, _PENDING_MAX = 256, 10_000


class Remembered(Protocol):
    def forget(self, record: Record) -> None:
        """The record has changed in the store."""

    def learn(self, record: Record, asked: float) -> None:
        """The store has leased the record in answer to what was asked at `asked`, on the monotonic clock."""

    def leased(self, record: Record) -> bool:
        """Whether no change of the record can have answered yet."""


class Ledger:
    """`store_time` gives the time, in microseconds since 1970, that the store is to go by; None: its own clock."""

    def __init__(
        self, store: Store, records: Remembered, clock: Clock, store_time: Callable[[], int | None] = lambda: None
    ) -> None:
        self._store = store
        self._records = records
        self._clock = clock
        self._store_time = store_time
        self._period = period_of(clock.now())
        self._slots = Slots(store, store_time)
        self._pending: deque[Charge] = deque()
        self._flush: asyncio.Task[None] | None = None

    async def admit(self, question: Admit) -> Granted | Denied | Changed:
        """Check all demands and take all of them, or none, provided that the basis is current.

        Raises Refused(STORE_UNAVAILABLE): then units may have been taken, and stay counted.
        """
        for _ in range(_TRIES):
            ask = Ask(self._store, question.call, self._period, self._store_time(), self._slots.new_holder)
            args, asked = ask.args(question.basis, question.demands), self._clock.monotonic()
            verdict, now, *numbers = await self._run(ask, args)
            if verdict in (_GRANTED, _DENIED):
                for record in question.basis:
                    self._records.learn(record, asked)
            if verdict == _GRANTED:
                # A change may have answered while the reply was on its way.
                if not all(map(self._records.leased, question.basis)):
                    await self._give_back([ask.everything])
                    return Changed()
                charge = ask.charge
                self._slots.hold(charge.slots)
                return Granted(ask.standings(True, now, numbers), charge)
            if verdict == _DENIED:
                return Denied(ask.standings(False, now, numbers))
            if verdict == _CHANGED:
                for place in numbers:
                    self._records.forget(question.basis[place - 1])
                return Changed()
            assert verdict == _PERIOD
            self._period = period_of(now / 1_000_000)
        raise Refused(STORE_UNAVAILABLE, "The store's clock is not steady.", retry_after=1)

    async def settle(self, charge: object, outcome: Outcome, units: int | None = None, effect: Effect = Effect.UNKNOWN) -> None:
        """Give back what `charge` holds: its slots, and after a refund its units. The first call for a charge counts.

        `units` is what the upstream told that it used, where it did: of quotas that wait for it, the difference to what is held
        is given back, or counted on top, whatever the cap. `effect` decides about resources; where it is unknown, what was
        reserved stays so until somebody reconciles it.

        Raises Refused(STORE_UNAVAILABLE): units stay counted then, and slots come back with the end of their lease.
        """
        owed = self._owed(charge, outcome, units, effect)
        if owed is not None:
            await self._give_back([owed])

    def settle_soon(self, charge: object, outcome: Outcome, units: int | None = None, effect: Effect = Effect.UNKNOWN) -> None:
        """Settle in the background, together with others. Never raises, never waits; `close` waits for it."""
        owed = self._owed(charge, outcome, units, effect)
        if owed is None:
            return
        if len(self._pending) >= _PENDING_MAX:
            _log.error("too many requests wait to be settled: units of one stay counted, its slots come back with their lease")
            return
        self._pending.append(owed)
        if self._flush is None:
            self._flush = asyncio.create_task(self._settle_pending())

    async def renew_slots(self) -> None:
        """Renew the leases of all slots that are held; the ledger does so by itself. Raises Refused(STORE_UNAVAILABLE)."""
        await self._slots.renew()

    async def close(self) -> None:
        """Wait until everything is settled, as far as the store can be reached."""
        await self._slots.close()
        if self._flush is not None:
            await self._flush

    async def _run(self, ask: Ask, args: Sequence[Part]) -> list[int]:
        try:
            return _numbers(await self._store.data.run(_ADMIT, ask.keys, args))
        except BaseException:
            # It may have run: nobody will renew the slots and nothing will be made, so let go of what was taken.
            taken = Charge(slots=ask.charge.slots, resources=ask.charge.resources)
            self.settle_soon(taken, Outcome.CLIENT_GONE, effect=Effect.NOTHING)
            raise

    def _owed(self, charge: object, outcome: Outcome, told: int | None, effect: Effect) -> Charge | None:
        if not isinstance(charge, Charge) or charge.settled:
            return None
        charge.settled = True
        self._slots.let_go(charge.slots)
        amounts = [(held, held.owed(outcome, told)) for held in charge.units]
        units = [replace(held, amount=amount) for held, amount in amounts if amount]
        slots, made = list(charge.slots), list[HeldResource]()
        for held in charge.resources:
            if held.holder is None:
                units += [HeldUnits(held.counts, held.resource, 1, 0)] if effect is Effect.DONE else []
            elif effect is Effect.DONE:
                made.append(held)
            elif effect is Effect.NOTHING:
                slots.append(HeldSlot(held.key, held.holder))
        return Charge(tuple(units), tuple(slots), tuple(made)) if units or slots or made else None

    async def _settle_pending(self) -> None:
        try:
            while self._pending:
                batch = [self._pending.popleft() for _ in range(min(_BATCH, len(self._pending)))]
                try:
                    await self._give_back(batch)
                except Refused:
                    # Too much stays counted; slots come back with the end of their lease.
                    overrun = sum(-held.amount for charge in batch for held in charge.units if held.amount < 0)
                    if overrun:
                        _log.error("units that upstreams told of may not have been counted", extra={"units": overrun})
        finally:
            self._flush = None

    async def _give_back(self, charges: Sequence[Charge]) -> None:
        keys: dict[str, int] = {}
        args: list[Part] = []

        def index(key: str) -> int:
            return keys.setdefault(key, len(keys) + 1)

        for charge in charges:
            for held in charge.units:
                if held.amount > 0:
                    args += ("units", index(held.key), held.field, held.amount)
                else:
                    args += ("more", index(held.key), held.field, -held.amount, held.expires)
            for slot in charge.slots:
                args += ("slot", index(slot.key), slot.holder)
            for nonce in charge.nonces:
                args += ("nonce", index(nonce))
            for made in charge.resources:
                assert made.holder is not None
                args += ("made", index(made.key), index(made.counts), made.resource, made.holder)
        await self._store.control.run(_SETTLE, list(keys), args)


def _numbers(reply: Reply) -> list[int]:
    assert isinstance(reply, list)
    return [number for number in reply if isinstance(number, int)]
