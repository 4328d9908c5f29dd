"""What becomes of leases between the requests: kept while they are of use, given back when they are not."""

from __future__ import annotations

import asyncio

from gateway.clock import Clock

from .book import Book
from .bucket import SlotBucket
from .exchange import AT_ONCE, LATER, Exchange
from .lease import Lease
from .lease_items import Back, Extra, Keep

# Seconds between two looks at all that live, and for which a worker takes no idle units after others have asked for them.
_SWEEP = 0.25
_SHARED = 1.0


class Upkeep:
    """`name` begins the names of this worker's epochs."""

    def __init__(self, exchange: Exchange, clock: Clock, name: str) -> None:
        self._exchange = exchange
        self._clock = clock
        self.book = Book(name, self.let_go)
        self._sweeper: asyncio.Task[None] | None = None

    def enliven(self, lease: Lease) -> None:
        """The store knows something of it."""
        if lease.lives:
            self.book.enliven(lease)
            if self._sweeper is None:
                self._sweeper = asyncio.create_task(self._keep_sweeping())

    def refill(self, lease: Lease, now: float) -> None:
        """Ask for more in time, if it is worth its while."""
        within = lease.low(now)
        if within is not None:
            self._exchange.add(Extra(lease, self._clock.monotonic), within, ("extra", lease))

    def restore(self, lease: Lease, units: int) -> None:
        """A request has not used these, or does not any more."""
        lease.busy -= units
        lease.idle += units
        if not lease.hot(self._clock.monotonic()):
            self.let_go(lease, AT_ONCE)

    def let_go(self, lease: Lease, within: float = LATER) -> None:
        """What is idle goes back, and what was used is reported."""
        self._exchange.add(Back(lease, self._clock.monotonic), within, ("back", lease))

    def recalled(self, place: str) -> None:
        """Somebody needs units of which some may be idle here. `place`: where the store keeps what is lent."""
        now = self._clock.monotonic()
        for lease in self.book.at(place):
            lease.shared_until = now + _SHARED
            self._exchange.add(Back(lease, self._clock.monotonic, busy=True), AT_ONCE, ("recalled", lease))

    def sweep(self) -> None:
        """Give back what nobody wants any more, and go on holding what is in use. Done by itself while anything lives."""
        now = self._clock.monotonic()
        for lease in self.book.living:
            if not lease.lives:
                self.book.bury(lease)
            elif lease.unwanted(now):
                self.let_go(lease)
            elif lease.ends_soon(now):
                self._exchange.add(Keep(lease, isinstance(lease.bucket, SlotBucket)), LATER, ("keep", lease))

    async def close(self) -> None:
        """Have everything given back that is not in use; the exchange has still to be flushed."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for lease in self.book.living:
            self.let_go(lease)

    async def _keep_sweeping(self) -> None:
        while self.book.living:
            await asyncio.sleep(_SWEEP)
            self.sweep()
        self._sweeper = None
