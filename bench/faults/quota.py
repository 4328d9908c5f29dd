"""With N units left exactly N requests pass, also when a worker is killed among them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass
from uuid import uuid4

from tests.e2e.recorder import Seen, json_answer

from .load import Client, Load
from .stack import Stack

_LEASE = 5.0  # seconds after which units of a dead worker come back
_PAUSE = 0.005


@dataclass(frozen=True)
class Outcome:
    """What came of `units`.

    `at_once` were delivered to the crowd, `delivered` all in all, until nothing was left; the store has counted `committed`.
    `lost`: requests whose answer never came whole. `back`: seconds from the crowd's end until all units were counted.
    """

    units: int
    at_once: int
    delivered: int
    lost: int
    committed: int
    back: float
    others: dict[str, int]

    @property
    def holds(self) -> bool:
        return self.delivered <= self.committed == self.units <= self.delivered + self.lost and not self.others

    @property
    def row(self) -> tuple[str, ...]:
        whole = (self.units, self.at_once, self.delivered, self.lost, self.committed)
        return (*map(str, whole), f"{self.back:.1f}", str(self.others or ""))


async def exhaust(stack: Stack, units: int, clients: int, *, kill: bool = False) -> Outcome:
    """A crowd of `clients` asks for twice the units there are, once each at least; then one asks until all are counted.

    With `kill` a worker dies when half of the units have reached the upstream.
    """
    customer, path = stack.customer(monthly_message_cap=units), f"/metered/{uuid4().hex}"
    if kill:
        _kill_at(stack, path, units // 2 + 1)
    each = max(1, 2 * units // clients)
    load = Load(stack.gateway.public_url, path, stack.bearer(customer), clients, times=each)
    async with load:
        await load.ended()
    at_once, ended = load.delivered, time.monotonic()
    client, patience = Client(load.url, path, load.headers), ended + 2 * _LEASE
    while (committed := await stack.used(customer)) < units and time.monotonic() < patience:
        load.answers.append(await client.ask())
        if load.answers[-1].delivered:
            patience = time.monotonic() + 2 * _LEASE
        await asyncio.sleep(_PAUSE)
    back = time.monotonic() - ended
    load.answers.append(await client.ask())
    committed = await stack.used(customer)
    client.close()
    expected = {"200", "429 TENANT_QUOTA_EXCEEDED", *(("none", "broken off") if kill else ())}
    return Outcome(
        units,
        at_once,
        load.delivered,
        sum(not answer.whole for answer in load.answers),
        committed,
        back,
        {kind: count for kind, count in load.kinds.items() if kind not in expected},
    )


def _kill_at(stack: Stack, path: str, number: int) -> None:
    """Some worker dies when the upstream gets its `number`th request at `path`, before it is answered."""

    def respond(seen: Seen) -> bytes:
        if len(stack.upstream.at(path)) == number:
            os.kill(random.choice(stack.pids()), signal.SIGKILL)
        return json_answer({})

    stack.upstream.responses[path] = respond
