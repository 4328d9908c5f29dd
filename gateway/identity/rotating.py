"""A key set that changes: kept while its source fails, fetched anew in time, and when a token names a key that is not in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jwt import PyJWK

from gateway.clock import Clock
from gateway.errors import KEYS_UNAVAILABLE, Refused
from gateway.pipeline.claim import KeysNeeded

from .keyring import KeyFault, KeyRing, ring_of_set
from .source import Source, SourceFault

_log = logging.getLogger("tenantgate.identity")

# Whatever is configured: `find` must answer for itself right after a fetch, and nobody's tokens may hammer an issuer.
_MIN_COOLDOWN = 1.0


class RotatingKeys:
    """A KeySet. `every` is how often the set is fetched anyway, `cooldown` the shortest time between two fetches; seconds."""

    def __init__(
        self, issuer: str, source: Source, algorithms: frozenset[str], clock: Clock, *, every: float, cooldown: float
    ) -> None:
        self._issuer = issuer
        self._source = source
        self._algorithms = algorithms
        self._clock = clock
        self._cooldown = max(cooldown, _MIN_COOLDOWN)
        self._every = max(every, _MIN_COOLDOWN)
        self.generation = 0
        self._raw = b""
        self._ring = KeyRing(())
        self._fetched_at: float | None = None
        self._fault: str | None = None
        self._flight: asyncio.Task[None] | None = None

    def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        found = self._ring.find(kid, algorithm)
        if found:
            return found
        if self._age() >= self._cooldown:
            raise KeysNeeded(self._issuer)
        if self._fault is not None:
            # The issuer may have new keys that we can't see: our outage, not the caller's fault.
            raise Refused(KEYS_UNAVAILABLE, retry_after=self._cooldown - self._age())
        return ()

    def due(self) -> bool:
        """Whether it is time to fetch although nobody asks; after a failure that is sooner."""
        return self._age() >= (self._every if self._fault is None else min(self._every, self._cooldown))

    async def refresh(self) -> None:
        """Fetch, or join the fetch that is under way, or do nothing where the last one is too recent. Failures are logged."""
        if self._flight is None:
            if self._age() < self._cooldown and not self.due():
                return
            self._flight = asyncio.create_task(self._fetch(), name=f"keys of {self._issuer}")
        # One caller that goes away must not take the others' fetch with it.
        await asyncio.shield(self._flight)

    def accept(self, raw: bytes) -> None:
        """Take `raw` as the set. Raises KeyFault, and keeps the set that it has."""
        if raw != self._raw:
            ring = ring_of_set(raw, self._algorithms)
            self._raw, self._ring = raw, ring
            self.generation += 1
            _log.info("keys loaded", extra={"issuer": self._issuer, "keys": len(ring.keys), "ignored": ring.ignored})
        self._fetched_at = self._clock.monotonic()
        self._fault = None

    async def close(self) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _fetch(self) -> None:
        try:
            self.accept(await self._source.read())
        except Exception as error:
            # Whatever it was, the set that we have stays, and the next round goes on.
            fault = str(error) or type(error).__name__
            if fault != self._fault:
                surprise = not isinstance(error, SourceFault | KeyFault)
                _log.warning("keys not loaded", extra={"issuer": self._issuer, "fault": fault}, exc_info=surprise)
            self._fault = fault
        finally:
            self._fetched_at = self._clock.monotonic()
            self._flight = None

    def _age(self) -> float:
        """Seconds since the last fetch ended, well or not."""
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at
