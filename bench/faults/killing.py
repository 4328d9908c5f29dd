"""What clients have received whole is counted, whichever worker dies in the next instant."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass
from uuid import uuid4

from .load import Load
from .stack import Stack

_CLIENTS, _UNITS = 32, 10_000_000
_BETWEEN = 50  # answers between two deaths
_PATIENCE = 60.0


@dataclass(frozen=True)
class Outcome:
    """`short`: after how many deaths less was counted than clients had received until then. `answers` by kind."""

    deaths: int
    short: int
    delivered: int
    committed: int
    answers: dict[str, int]

    @property
    def holds(self) -> bool:
        return self.short == 0 and self.delivered <= self.committed

    @property
    def row(self) -> tuple[str, ...]:
        difference = self.committed - self.delivered
        return (*map(str, (self.deaths, self.delivered, self.committed, difference, self.short)), str(self.answers))


async def kill(stack: Stack, times: int) -> Outcome:
    """Kills a worker under metered load so many times, each when all serve."""
    customer, short = stack.customer(monthly_message_cap=_UNITS), 0
    path = f"/metered/{uuid4().hex}"
    async with Load(stack.gateway.public_url, path, stack.bearer(customer), _CLIENTS) as load:
        for _ in range(times):
            await load.reaches(_BETWEEN)
            os.kill(random.choice(stack.pids()), signal.SIGKILL)
            # What was received is counted first, and what the store has after that.
            delivered = load.delivered
            short += await stack.used(customer) < delivered
            async with asyncio.timeout(_PATIENCE):
                while not await asyncio.to_thread(stack.is_whole):
                    await asyncio.sleep(0.02)
    return Outcome(times, short, load.delivered, await stack.used(customer), dict(load.kinds))
