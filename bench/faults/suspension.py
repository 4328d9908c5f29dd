"""Once a suspension has answered, no worker lets a request of the tenant in, whether it was told of it or not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import median

from .load import Load
from .stack import Stack

_CLIENTS, _PAUSE = 16, 0.002
_WINDOW = 0.05  # seconds that each suspension lasts at the least
_REFUSED = "503 STORE_UNAVAILABLE"  # what a busy machine may cost
_JUDGED = 4  # requests that each suspension is to see begin and end


@dataclass(frozen=True)
class Outcome:
    """`judged`: requests that lay within a suspension whole, from its answer to the call that ended it. `let_in`: those of them
    that passed. `took`: seconds of each call that suspended.
    """

    judged: int
    let_in: int
    took: list[float]
    others: dict[str, int]

    @property
    def holds(self) -> bool:
        return self.let_in == 0 and self.judged >= len(self.took) and set(self.others) <= {_REFUSED}

    @property
    def row(self) -> tuple[str, ...]:
        times = (f"{median(self.took) * 1000:.1f}", f"{max(self.took) * 1000:.1f}")
        return (str(len(self.took)), str(self.judged), str(self.let_in), *times, str(self.others or ""))


async def suspend(stack: Stack, times: int) -> Outcome:
    """Suspends a tenant under load, and lets it in again, so many times."""
    customer = stack.customer(plan="paid")
    took: list[float] = []
    windows: list[tuple[float, float]] = []

    async def turn(action: str) -> float:
        started = time.monotonic()
        answer = await asyncio.to_thread(stack.gateway.admin.post, f"/{action}/tenant", params={"tenant_id": customer.id})
        if answer.status_code != 200:
            raise RuntimeError(f"{action}: {answer.text}")
        return time.monotonic() - started

    async with Load(stack.gateway.public_url, "/analytics/x", stack.bearer(customer), _CLIENTS, _PAUSE) as load:
        for _ in range(times):
            await load.reaches(_CLIENTS)
            took.append(await turn("suspend"))
            answered, seen = time.monotonic(), len(load.answers)
            while time.monotonic() < answered + _WINDOW or not _within(load, seen, answered):
                await asyncio.sleep(0.005)
            windows.append((answered, time.monotonic()))
            await turn("reactivate")
    judged = [answer for answer in load.answers if any(start < answer.began and answer.ended < end for start, end in windows)]
    return Outcome(
        len(judged),
        sum(answer.status not in (403, 503) for answer in judged),
        took,
        {kind: count for kind, count in load.kinds.items() if kind not in ("200", "403 TENANT_SUSPENDED")},
    )


def _within(load: Load, seen: int, answered: float) -> bool:
    """Whether as many requests as are wanted began after `answered` and have ended; those before the `seen`th did not."""
    return sum(answer.began > answered for answer in load.answers[seen:]) >= _JUDGED
