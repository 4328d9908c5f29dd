"""A replica takes over: what it had not received is lost, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from .link import Link
from .load import Load
from .outage import EXPECTED, REFUSED, recovery
from .server import Server
from .stack import Stack

_CLIENTS, _PAUSE = 32, 0.05
_UNITS, _BEFORE = 1500, 300
_PATIENCE = 30.0


@dataclass(frozen=True)
class Outcome:
    """`behind`: units that the old primary had counted and the replica not, when it took over. `refused`: answers of 503."""

    units: int
    delivered: int
    committed: int
    behind: int
    refused: int
    recovered: float
    answers: dict[str, int]

    @property
    def others(self) -> dict[str, int]:
        """Answers that no failover excuses."""
        return {kind: count for kind, count in self.answers.items() if kind not in EXPECTED}

    @property
    def holds(self) -> bool:
        return self.delivered <= self.committed + self.behind and self.committed <= self.units and not self.others

    @property
    def row(self) -> tuple[str, ...]:
        over = max(0, self.delivered - self.units)
        counts = (self.units, self.delivered, self.committed, self.behind, over, self.refused)
        return (*map(str, counts), f"{self.recovered * 1000:.0f}", str(self.answers))


@contextmanager
def replica(stack: Stack) -> Iterator[tuple[Server, Link]]:
    """One that has all that the store of `stack` has, and the link that it gets it by."""
    server = Server(stack.directory / f"replica-{uuid4().hex[:8]}")
    link = Link(stack.server.address)
    try:
        server.command("REPLICAOF", "127.0.0.1", str(link.port))
        deadline = time.monotonic() + _PATIENCE
        while server.info("replication").get("master_link_status") != "up":
            if time.monotonic() > deadline:
                raise RuntimeError("the replica did not get its data")
            time.sleep(0.02)
        yield server, link
    finally:
        link.close()
        server.end()


async def promote(stack: Stack, behind: float) -> Outcome:
    """Promotes a replica under load that has heard nothing for `behind` seconds.

    It ends with the run, and the gateway of `stack` stays without a store.
    """
    customer, path = stack.customer(monthly_message_cap=_UNITS), f"/metered/{uuid4().hex}"
    with replica(stack) as (successor, feed):
        async with Load(stack.gateway.public_url, path, stack.bearer(customer), _CLIENTS, _PAUSE) as load:
            await load.reaches(_BEFORE)
            if behind:
                feed.hold()
                await asyncio.sleep(behind)
            # The old one is cut off before the new one serves, as whoever fails over must see to.
            stack.link.hold()
            counted = await stack.used(customer)
            successor.command("REPLICAOF", "NO", "ONE")
            lost = counted - await stack.used(customer, successor)
            stack.link.lead_to(successor.address)
            stack.link.let_through()
            over = time.monotonic()
            async with asyncio.timeout(_PATIENCE):
                while await stack.used(customer, successor) < _UNITS:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.2)
        committed = await stack.used(customer, successor)
    kinds: Counter[str] = load.kinds
    return Outcome(_UNITS, load.delivered, committed, lost, kinds[REFUSED], recovery(load.answers, over), dict(kinds))
