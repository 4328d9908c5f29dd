"""How much memory a worker keeps of the tenants and addresses that it has seen, and of connections."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice, pairwise

from .load import Load, UnexpectedAnswer
from .plot import Plot
from .processes import resident_bytes
from .stack import Stack, running
from .store_calls import CONNECTIONS
from .store_counters import Counters
from .table import table

TENANTS = (0, 1_000, 10_000, 50_000, 100_000)
ADDRESSES = (0, 1_000, 5_000, 10_000, 20_000, 40_000)
OPENED = (1, 1_000, 5_000, 10_000)
_OPENED_TOGETHER = 500
_MIB = 1 << 20
# Longer than any lease: what is left is kept for good.
_IDLE = 12.0


async def memory_of_tenants(seen: Sequence[int] = TENANTS) -> tuple[str, list[Plot]]:
    """One worker, each tenant seen once."""
    async with running(seen[-1], workers=1) as stack:
        requests = [customer.request("/lazy/x") for customer in stack.customers]
        return await _grown(stack, "tenants seen", requests, seen)


async def memory_of_addresses(seen: Sequence[int] = ADDRESSES) -> tuple[str, list[Plot]]:
    """One worker and one tenant, on a route with a rate for each client address, each address seen once."""
    async with running(1, workers=1) as stack:
        (customer,) = stack.customers
        addresses = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(seen[-1])]
        requests = [customer.request("/addresses/x", f"X-Forwarded-For: {address}\r\n") for address in addresses]
        return await _grown(stack, "client addresses seen", requests, seen)


async def memory_of_connections(open_at_once: Sequence[int] = OPENED) -> tuple[str, list[Plot]]:
    """One worker that has seen 1,000 tenants; on each connection one request has been served."""
    rows, points = [], []
    async with running(1_000, workers=1) as stack:
        requests = [customer.request("/lazy/x") for customer in stack.customers]
        async with Load(stack.gateway.public_url, CONNECTIONS) as load:
            await load.run(requests)
        async with AsyncExitStack() as opened:
            for before, count in pairwise((0, *open_at_once)):
                # A few at a time: a connection on which nobody asks within ten seconds is closed.
                for start in range(before, count, _OPENED_TOGETHER):
                    more = min(_OPENED_TOGETHER, count - start)
                    load = await opened.enter_async_context(Load(stack.gateway.public_url, more))
                    await load.run(islice(cycle(requests), more))
                resident = resident_bytes(stack.gateway.pid) / _MIB
                rows.append([f"{count:,}", f"{resident:.1f}"])
                points.append((count, resident))
    plot = Plot("Memory of a worker by connections", "connections", "MiB resident", {"worker": points})
    return table(("connections", "worker MiB"), rows), [plot]


async def _grown(stack: Stack, what: str, requests: Sequence[bytes], seen: Sequence[int]) -> tuple[str, list[Plot]]:
    rows, points = [], []
    async with Load(stack.gateway.public_url, CONNECTIONS) as load:

        async def measure(name: str) -> float:
            resident, store = resident_bytes(stack.gateway.pid) / _MIB, await Counters.of(stack.store.control)
            rows.append([name, f"{resident:.1f}", f"{store.bytes / _MIB:.1f}"])
            # It takes minutes.
            print(f"{name}: {resident:.1f} MiB", file=sys.stderr, flush=True)
            return resident

        points.append((0, await measure("0")))
        for before, count in pairwise(seen):
            hits = stack.upstream.hits
            answers = await load.run(requests[before:count])
            if answers.statuses != {200: stack.upstream.hits - hits}:
                raise UnexpectedAnswer(f"answers by status: {dict(answers.statuses)}")
            points.append((count, await measure(f"{count:,}")))
        await asyncio.sleep(_IDLE)
        await measure(f"{_IDLE:g} s later")
    plot = Plot(f"Memory of a worker by {what}", what, "MiB resident", {"worker": points})
    return table((what, "worker MiB", "store MiB"), rows), [plot]
