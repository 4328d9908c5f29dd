"""The ledger: whether what a request demands is there, taken at once and whole, and counted when it is known how it ended.

What a worker holds on lease it hands out by itself; it asks the store for the rest. See docs/guarantees.md for what holds when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from gateway.clock import Clock
from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.demand import Demand, Quota, Rate, Reserve, Slot
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.tenancy.period import period_of

from .ask import Ask
from .asking import BACK_WITHIN, Asking, Kind, Verdict
from .charge import Charge, Effect, Outcome
from .deferral import Deferral
from .exchange import AT_ONCE, Exchange
from .items import Forget
from .lease import Lease
from .local import Local
from .naming import bucket_of, name_of, period_bounds, tag_of
from .receipt import Receipt
from .remembered import Remembered
from .settlement import Settlement
from .upkeep import Upkeep
from .wanted import Wanted

__all__ = ["Effect", "Ledger", "Outcome"]

# A try is wasted where a period has just ended; two in one call mean that the clocks are mad.
_TRIES = 3
# How long those who hold idle units get to give them back, in seconds; the last ask after them decides.
_RECALL_PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)
_CLOSE = 2.0


class Ledger:
    """`store_time` gives the time, in microseconds since 1970, that the store is to go by; None: its own clock. `deferral`
    counts what the store can't be told of. `last_lease` is what was held last of the bucket with a tag and a name."""

    def __init__(
        self,
        store: Store,
        records: Remembered,
        clock: Clock,
        store_time: Callable[[], int | None] = lambda: None,
        deferral: Deferral | None = None,
    ) -> None:
        self._store = store
        self._records = records
        self._clock = clock
        self._store_time = store_time
        # Names this ledger in the store, and no other that ever was.
        self._name, self._requests = uuid4().hex, 0
        self._exchange = Exchange(store, clock, store_time, self._name)
        self._upkeep = Upkeep(self._exchange, clock, self._name)
        self._book = self._upkeep.book
        self._local = Local(store, self._upkeep, self._exchange, records, clock)
        self.order, self.take_order = self._local.order, self._local.take
        self.standings, self.numbers = self._local.standings, self._local.numbers
        self.settlement = Settlement(self._exchange, self._upkeep.restore, deferral)
        self.last_lease = self._book.last
        self.recalled = self._upkeep.recalled
        self.sweep = self._upkeep.sweep
        self._asking = Asking(store, self._exchange, clock, store_time)
        self._asked: set[asyncio.Future[Verdict]] = set()

    def take(self, question: Admit) -> Granted | None:
        """Admit by what this worker holds, records included; None where the store has to be asked."""
        order = self.order(question)
        charge = self.take_order(order)
        return None if charge is None else Granted(self._local.standings(order), charge)

    async def admit(self, question: Admit) -> Granted | Denied | Changed:
        """Check all demands and take all of them, or none, provided that the basis is current.

        Raises Refused(STORE_UNAVAILABLE): what may have been taken all the same comes back within a lease.
        """
        tries, pauses = 0, iter(_RECALL_PAUSES)
        pause: float | None = 0.0
        while tries < _TRIES:
            ask = self._ask(question)
            verdict = await self._put(ask, recall=pause is not None)
            if verdict.kind not in (Kind.GRANTED, Kind.DENIED):
                ask.let_go()
            if verdict.kind is Kind.RECALLED:
                pause = next(pauses, None)
                await asyncio.sleep(pause or 0)
                continue
            if verdict.kind is Kind.PERIOD:
                tries += 1
                self._local.period = period_of(verdict.now / 1_000_000)
                continue
            if verdict.kind is Kind.CHANGED:
                for record in verdict.changed:
                    self._records.forget(record)
                return Changed()
            return await self._decided(ask, verdict)
        raise Refused(STORE_UNAVAILABLE, "The store's clock is not steady.", retry_after=1)

    def count(self, charge: object, told: int | None) -> Receipt | None:
        """The upstream has served the request, and said that it used `told` units, where it did: its units are counted from now
        on. What the client's answer has to wait for before it may end, if anything."""
        return self.settlement.count(charge, told) if isinstance(charge, Charge) else None

    def settle_soon(self, charge: object, outcome: Outcome, units: int | None = None, effect: Effect = Effect.UNKNOWN) -> None:
        """Give back what `charge` holds, or have it counted. The first call for a charge counts. Never raises, never waits.

        `units` is as in `count`. `effect` decides about resources; where it is unknown, what was reserved stays so until
        somebody reconciles it.
        """
        if isinstance(charge, Charge):
            self.settlement.settle(charge, outcome, units, effect)

    async def settle(self, charge: object, outcome: Outcome, units: int | None = None, effect: Effect = Effect.UNKNOWN) -> None:
        """Likewise, and return when the store knows."""
        self.settle_soon(charge, outcome, units, effect)
        await self._exchange.flush()

    async def flush(self) -> None:
        """Return when the store knows all that this worker has to tell."""
        await self._exchange.flush()

    async def close(self) -> None:
        """Give everything back that is not in use, and wait until everything is settled, as far as the store can be reached."""
        if self._asked:
            await asyncio.wait(self._asked, timeout=_CLOSE)
        await self._upkeep.close()
        await self._exchange.close(_CLOSE)

    def _ask(self, question: Admit) -> Ask:
        wanted = [
            Wanted.of(
                self._store,
                question.call,
                demand,
                self._lease(question, demand),
                self._holder(question) if isinstance(demand, Reserve) else "",
            )
            for demand in question.demands
        ]
        return Ask(self._store, question, wanted, self._local.period)

    def _lease(self, question: Admit, demand: Demand) -> Lease | None:
        if not isinstance(demand, Rate | Quota | Slot) or (isinstance(demand, Quota) and demand.unbounded):
            return None
        tag, name = tag_of(question.call, demand), name_of(question.call, demand, self._local.period)
        lease = self._book.find(tag, name)
        if lease is not None and lease.ended(self._clock.monotonic()):
            # The store may have taken its units back, or is about to.
            lease.give_up()
            lease = None
        return lease or self._book.open(tag, name, bucket_of(self._store.keys, question.call, demand, tag, self._local.period))

    def _holder(self, question: Admit) -> str:
        """The request's id is for whoever looks into the store; what follows makes the holder one of a kind."""
        self._requests += 1
        return f"{question.call.request.request_id} {self._name}-{self._requests}"

    async def _put(self, ask: Ask, *, recall: bool) -> Verdict:
        ask.begin(self._clock.monotonic(), self._records.leased)
        call = asyncio.ensure_future(self._asking.put(ask, recall=recall))
        self._asked.add(call)
        call.add_done_callback(self._asked.discard)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # What it gets is given back when the answer comes.
            call.add_done_callback(lambda call: self._unclaimed(ask, call))
            raise
        except Refused:
            self._unanswered(ask)
            raise

    def _unclaimed(self, ask: Ask, call: asyncio.Future[Verdict]) -> None:
        if call.cancelled() or call.exception() is not None:
            self._unanswered(ask)
            return
        kind = call.result().kind
        if kind in (Kind.GRANTED, Kind.DENIED):
            self._learn(ask, granted=kind is Kind.GRANTED)
        else:
            ask.let_go()
        if kind is Kind.GRANTED:
            self._return(ask)

    def _unanswered(self, ask: Ask) -> None:
        """It may have run. Nothing will be made of what it reserved."""
        ask.let_go()
        self.settlement.settle(Charge(resources=ask.resources), Outcome.CLIENT_GONE, None, Effect.NOTHING)

    async def _decided(self, ask: Ask, verdict: Verdict) -> Granted | Denied | Changed:
        granted, basis = verdict.kind is Kind.GRANTED, ask.question.basis
        for record in verdict.leased:
            self._records.learn(record, ask.began)
        left = (period_bounds(self._local.period)[1] - verdict.now) / 1_000_000
        if any(isinstance(one, Quota) for one in ask.question.demands):
            self._local.period_ends = self._clock.monotonic() + left
        self._learn(ask, granted=granted)
        standings = ask.standings(granted, self._clock.monotonic(), left)
        if not granted:
            return Denied(standings)
        # A change may have answered while the reply was on its way, or there was no change and it took too long.
        if not all(map(self._records.leased, basis)) and not await self._current_after(ask):
            with suppress(TimeoutError):
                async with asyncio.timeout(BACK_WITHIN):
                    await self._exchange.flush()
            return Changed()
        return Granted(standings, ask.charge)

    async def _current_after(self, ask: Ask) -> bool:
        """Ask for the records alone. What `ask` was granted goes back if they have changed; of a rate, the cell is lost."""
        question, current = Admit(ask.question.call, ask.question.basis, ()), False
        try:
            anew = self._ask(question)
            verdict = await self._put(anew, recall=False)
            if verdict.kind is Kind.GRANTED:
                for record in verdict.leased:
                    self._records.learn(record, anew.began)
            current = all(map(self._records.leased, question.basis))
        finally:
            if not current:
                self._return(ask)
        return current

    def _learn(self, ask: Ask, *, granted: bool) -> None:
        ask.learn(self._clock.monotonic(), granted=granted)
        if granted:
            for item in ask.surplus():
                self._exchange.add(item, AT_ONCE)
        else:
            ask.let_go()
        for lease in ask.asked_for:
            self._upkeep.enliven(lease)

    def _return(self, ask: Ask) -> None:
        self.settlement.settle(ask.charge, Outcome.REFUND, None, Effect.NOTHING)
        for nonce in ask.nonces:
            self._exchange.add(Forget(nonce), AT_ONCE)
