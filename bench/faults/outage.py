"""What a store does to a gateway by failing: refusals in time, no other failure, and no cap passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

from .load import Answer, Load
from .stack import Stack

_CLIENTS, _PAUSE = 32, 0.05
_UNITS, _BEFORE = 1500, 200
_PATIENCE = 30.0

# A store's faults may break off what was admitted before, and refuse the rest for now.
REFUSED = "503 STORE_UNAVAILABLE"
EXPECTED = {"200", "429 TENANT_QUOTA_EXCEEDED", "broken off", REFUSED}


@dataclass(frozen=True)
class Fault:
    """`begin` makes it; `end` makes it good. Both may take their time. One without an end is over at once."""

    begin: Callable[[Stack], object]
    end: Callable[[Stack], object] | None = None


FAULTS: Mapping[str, Fault] = {
    "killed": Fault(lambda stack: stack.server.kill(), lambda stack: stack.server.start()),
    "black-holed": Fault(lambda stack: stack.link.hold(), lambda stack: stack.link.let_through()),
    "paused": Fault(lambda stack: stack.server.pause(), lambda stack: stack.server.resume()),
    "read-only": Fault(
        lambda stack: stack.server.command("REPLICAOF", "127.0.0.1", "1"),
        lambda stack: stack.server.command("REPLICAOF", "NO", "ONE"),
    ),
    "scripts forgotten": Fault(lambda stack: stack.server.command("SCRIPT", "FLUSH")),
}


@dataclass(frozen=True)
class Outcome:
    """`refused`: seconds of the refusals for the store. `recovered`: seconds from the fault's end to the next delivery that
    began after it. `committed`: what the store has counted when no unit was left.
    """

    units: int
    delivered: int
    committed: int
    refused: list[float]
    recovered: float
    answers: dict[str, int]

    @property
    def others(self) -> dict[str, int]:
        """Answers that no fault of a store excuses."""
        return {kind: count for kind, count in self.answers.items() if kind not in EXPECTED}

    @property
    def holds(self) -> bool:
        return self.delivered <= self.committed <= self.units and not self.others

    @property
    def row(self) -> tuple[str, ...]:
        times = [seconds * 1000 for seconds in self.refused] or [0.0]
        waits = (f"{median(times):.0f}", f"{max(times):.0f}", f"{self.recovered * 1000:.0f}")
        counts = (self.units, self.delivered, self.committed, len(self.refused))
        return (*map(str, counts), *waits, str(self.answers))


async def break_off(stack: Stack, fault: Fault, seconds: float) -> Outcome:
    """A fault so long in the middle of a load that goes on until the quota is used up, and for a moment more."""
    customer, path = stack.customer(monthly_message_cap=_UNITS), f"/metered/{uuid4().hex}"
    async with Load(stack.gateway.public_url, path, stack.bearer(customer), _CLIENTS, _PAUSE) as load:
        await load.reaches(_BEFORE)
        await asyncio.to_thread(fault.begin, stack)
        if fault.end is not None:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(fault.end, stack)
        over = time.monotonic()
        async with asyncio.timeout(_PATIENCE):
            while await stack.used(customer) < _UNITS:
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
    return Outcome(
        _UNITS,
        load.delivered,
        await stack.used(customer),
        [answer.took for answer in load.answers if answer.kind == REFUSED],
        recovery(load.answers, over),
        dict(load.kinds),
    )


def recovery(answers: list[Answer], over: float) -> float:
    """Seconds from `over` to the end of the first delivery that began after it."""
    return min(answer.ended for answer in answers if answer.delivered and answer.began > over) - over
