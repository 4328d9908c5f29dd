"""How often the store is asked for a request, and what a request costs the gateway and the store."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from .load import Load, UnexpectedAnswer
from .plot import Plot
from .processes import processor_seconds
from .stack import Stack, running
from .store_counters import Counters
from .table import table

CONNECTIONS = 64
HEADS = ("requests", "tenants", "per s", "scripts", "trips", "calls", "commands", "gateway µs", "store µs", "p50 ms", "p99 ms")
_WARM = 2.0
# Of what the machine gives where nobody pauses, found out in so many seconds.
_SHARE, _PROBE = 0.6, 3.0
_MOST, _WARM_ROUNDS = 10_000, 3


@dataclass(frozen=True)
class Cost:
    """Per request, but for `rate` (requests a second) and the two times. `scripts` and `trips` (batches of calls that arrived
    together) are the store's count, `calls` the gateway's; `commands` are all that ran in the store."""

    rate: float
    scripts: float
    trips: float
    calls: float
    commands: float
    gateway: float
    store: float
    p50: float
    p99: float

    def row(self, name: str, tenants: int) -> list[str]:
        counts = (self.scripts, self.trips, self.calls)
        micros = (self.gateway * 1e6, self.store * 1e6)
        times = (self.p50 * 1e3, self.p99 * 1e3)
        return [
            name,
            f"{tenants:,}",
            f"{self.rate:,.0f}",
            *(f"{count:.4f}" for count in counts),
            f"{self.commands:.2f}",
            *(f"{value:.0f}" for value in micros),
            *(f"{value:.1f}" for value in times),
        ]


async def hot_tenants(workers: int, seconds: float, counts: Iterable[int] = (1, 20, 200)) -> tuple[str, list[Plot]]:
    """Few tenants, each as fast as it can, by a metric that is counted lazily and by one that is counted when delivered."""
    counts = list(counts)
    rows, series = [], dict[str, list[tuple[float, float]]]()
    async with running(max(counts), workers) as stack, Load(stack.gateway.public_url, CONNECTIONS) as load:
        for path in ("lazy", "delivered"):
            for count in counts:
                sent = [customer.request(f"/{path}/x") for customer in stack.customers[:count]]
                await load.run(_during(sent, _WARM))
                cost = await _cost(stack, load, _during(sent, seconds))
                rows.append(cost.row(path, count))
                series.setdefault(f"{path}: scripts", []).append((count, cost.scripts))
                series.setdefault(f"{path}: trips", []).append((count, cost.trips))
    plot = Plot("Store calls of hot tenants", "tenants", "per request", series, log_x=True)
    return table(HEADS, rows), [plot]


async def many_tenants(workers: int, seconds: float, most: int = _MOST) -> tuple[str, list[Plot]]:
    """As many tenants as the machine serves at one request a second each, up to `most`."""
    rows = []
    async with running(most, workers) as stack, Load(stack.gateway.public_url, CONNECTIONS) as load:
        everybody = [customer.request("/lazy/x") for customer in stack.customers]
        await load.run(everybody)
        started = time.monotonic()
        answers = await load.run(_during(everybody, _PROBE))
        possible = answers.statuses.total() / (time.monotonic() - started)
        tenants = min(most, max(1, int(_SHARE * possible)))
        for path in ("lazy", "delivered"):
            sent = [customer.request(f"/{path}/x") for customer in stack.customers[:tenants]]
            await load.run(islice(cycle(sent), _WARM_ROUNDS * tenants), rate=tenants)
            cost = await _cost(stack, load, islice(cycle(sent), int(seconds) * tenants), rate=tenants)
            rows.append(cost.row(path, tenants))
    told = f"{most:,} tenants, without a pause: {possible:,.0f} requests a second."
    if tenants < most:
        told += f" {most:,} a second are more than this machine gives: measured with {tenants:,} tenants."
    return f"{told}\n\n{table(HEADS, rows)}", []


async def _cost(stack: Stack, load: Load, requests: Iterable[bytes], rate: float = math.inf) -> Cost:
    """Raises UnexpectedAnswer, also where an answer was not 200 or did not come from the upstream."""
    # What an earlier run has left to be settled is not this one's.
    await asyncio.sleep(0.3)
    calls, hits = await stack.gateway.store_calls(), stack.upstream.hits
    spent, store, started = processor_seconds(stack.gateway.pid), await Counters.of(stack.store.control), time.monotonic()
    answers = await load.run(requests, rate)
    took = time.monotonic() - started
    # Nor is what this one leaves nobody's.
    await asyncio.sleep(0.3)
    store, spent = (await Counters.of(stack.store.control)).since(store), processor_seconds(stack.gateway.pid) - spent
    calls, hits = await stack.gateway.store_calls() - calls, stack.upstream.hits - hits
    count = answers.statuses.total()
    if answers.statuses != {200: hits}:
        raise UnexpectedAnswer(f"{hits} requests have reached the upstream; answers by status: {dict(answers.statuses)}")
    return Cost(
        rate=count / took,
        scripts=store.scripts / count,
        trips=store.reads / count,
        calls=calls / count,
        commands=store.commands / count,
        gateway=spent / count,
        store=store.seconds / count,
        p50=answers.quantile(0.5),
        p99=answers.quantile(0.99),
    )


def _during(requests: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """The requests over and over, until the time has passed."""
    ends = time.monotonic() + seconds
    for request in cycle(requests):
        if time.monotonic() > ends:
            return
        yield request
