"""What one process at a time does for all gateways that share a store."""

from __future__ import annotations

from contextlib import suppress

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.store.connect import Store
from gateway.store.lease import DRIFT
from gateway.store.script import Script
from gateway.store.wire import Part

_RENEW = Script.load("gateway.webhooks", "renew")


class Hold:
    """`length`: seconds after which it is free again where its holder has died. It counts from before it was asked for."""

    def __init__(self, store: Store, clock: Clock, name: str, length: float = 10.0) -> None:
        self._store = store
        self._clock = clock
        self._key = store.keys.named(name)
        self._length = length
        self._until = 0.0

    @property
    def left(self) -> float:
        """Seconds for which this process certainly holds it."""
        return self._until - self._clock.monotonic()

    async def renew(self) -> None:
        """Take it, or keep it, unless another process has it. Raises Refused(STORE_UNAVAILABLE): then it may end."""
        asked = self._clock.monotonic()
        args: list[Part] = [self._store.worker, int(self._length * 1000)]
        if await self._store.control.run(_RENEW, [self._key], args) == 1:
            self._until = asked + self._length - DRIFT
        else:
            self._until = 0.0

    async def give_back(self) -> None:
        self._until = 0.0
        with suppress(Refused):
            await self._store.control.run(_RENEW, [self._key], [self._store.worker, 0])
