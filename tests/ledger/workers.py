"""Several workers over one store, on one clock that the test moves, with faults that the test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Literal

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.ledger.ledger import Ledger
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.client import Client
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

from .samples import CALL, Forgotten, StoreTime, ledger_over

Fault = Literal["request lost", "reply lost"]


class FaultyClient(Client):
    """Loses calls of the scripts that are named in `faults`: before the store sees them, or after."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 5.0)
        self.faults: dict[str, Fault] = {}
        self.calls: list[str] = []
        self.under_way = 0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        self.calls.append(script.name)
        fault = self.faults.get(script.name)
        if fault == "request lost":
            raise Refused(STORE_UNAVAILABLE)
        self.under_way += 1
        try:
            reply = await super().run(script, keys, args)
        finally:
            self.under_way -= 1
        if fault is not None:
            raise Refused(STORE_UNAVAILABLE)
        return reply


class Worker:
    def __init__(self, url: str, prefix: str, time: StoreTime) -> None:
        self.store = Store(url, prefix=prefix, deadline=5.0)
        self.client = self.store.data = FaultyClient(url)
        self.ledger: Ledger = ledger_over(self.store, Forgotten(), time)
        self._listening = asyncio.create_task(self.store.changes.listen(self._hear))

    def _hear(self, message: bytes) -> None:
        kind, _, place = message.partition(b" ")
        assert kind == b"recall"
        self.ledger.recalled(place.decode())

    def take(self, *demands: Demand, call: Call = CALL) -> Granted | None:
        return self.ledger.take(Admit(call, (), demands))

    async def ask(self, *demands: Demand, call: Call = CALL) -> Granted | Denied | Changed:
        """As the walk does: by what is held here, else by the store."""
        question = Admit(call, (), demands)
        return self.ledger.take(question) or await self.ledger.admit(question)

    async def admitted(self, *demands: Demand, call: Call = CALL) -> object | None:
        """The charge of the request, None where it was refused."""
        answer = await self.ask(*demands, call=call)
        return answer if isinstance(answer, Granted) else None

    async def beat(self) -> None:
        self.ledger.sweep()
        await self.ledger.flush()

    async def crash(self) -> None:
        """Gone, without a word to the store."""
        self._listening.cancel()
        self.client.faults = {"admit": "request lost", "exchange": "request lost"}
        await asyncio.gather(self._listening, return_exceptions=True)

    async def close(self) -> None:
        self.client.faults = {}
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self.ledger.close()
        await self.store.close()


async def close(workers: Iterable[Worker]) -> None:
    for worker in workers:
        with suppress(Refused):
            await worker.close()


async def advance(workers: Sequence[Worker], time: StoreTime, seconds: float) -> None:
    """Calls go by the time at which they are made. For the store that must never go back, so none may be under way. Nor may it
    go more slowly than the store's own clock, by which keys expire."""
    while any(worker.client.under_way for worker in workers):
        await asyncio.sleep(0)
    real = monotonic()
    time.advance(max(seconds, real - time.real))
    time.real = real


async def subscribed(workers: Sequence[Worker]) -> None:
    """Return when every one hears what is published."""
    store = workers[0].store
    while True:
        reply = await store.control.command("PUBSUB", "NUMSUB", store.keys.changes)
        assert isinstance(reply, list)
        if reply[1] == len(workers):
            return
        await asyncio.sleep(0.005)
