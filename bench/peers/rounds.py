"""Rounds: every row of a table once, one after another, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import wrk
from .checks import check
from .machine import calibrate, stolen
from .peers import DIRECT
from .requests import is_repeated
from .sample import Sample
from .stack import Stack
from .tables import Row, Table

_WARM = 1.0
# Good for one use: the first load tells how many the second may need.
_FIRST_LIST, _SPARE = 2000, 1.2


class Unfit(Exception):
    """A run that no figure can be made of."""


@dataclass(frozen=True)
class Conditions:
    """`steal`: the share of all processor time that the host took during a round. `loop`: see machine.calibrate."""

    steal: float
    loop: float


@dataclass(frozen=True)
class Measured:
    """`rounds` and `conditions` go together; `failed` says of rows why they have no figure."""

    table: Table
    rounds: Sequence[Mapping[str, Sample]]
    conditions: Sequence[Conditions]
    failed: Mapping[str, str]


def measure(stack: Stack, table: Table, rounds: int, seconds: float, tell: Callable[[str], None]) -> Measured:
    """Rows of peers that do not run are left out; one that fails its check, or a run, is not timed any further."""
    rows = [row for row in table.rows if row.peer == DIRECT or row.peer in stack.peers]
    stack.upstream.rest()
    failed = {row.name: "; ".join(faults) for row in rows if (faults := check(stack, row))}
    done, conditions = list[dict[str, Sample]](), list[Conditions]()
    for number in range(rounds):
        tell(f"{table.name}: round {number + 1} of {rounds}")
        loop, stole, started = calibrate(stack.cores.proxy), stolen(), time.monotonic()
        samples = dict[str, Sample]()
        for row in _rotated(rows, number):
            if row.name not in failed:
                try:
                    samples[row.name] = _sample_twice(stack, row, seconds, tell)
                except (Unfit, wrk.NoResult) as fault:
                    failed[row.name] = f"round {number + 1}: {fault}"
        possible = (time.monotonic() - started) * (os.cpu_count() or 1)
        conditions.append(Conditions((stolen() - stole) / possible, loop))
        done.append(samples)
    return Measured(table, done, conditions, failed)


def _rotated(rows: Sequence[Row], by: int) -> Iterator[Row]:
    """Each round begins with another one, as the first and those after a heavy one may be at a disadvantage."""
    yield from rows[by % len(rows) :] if rows else ()
    yield from rows[: by % len(rows)] if rows else ()


def _sample_twice(stack: Stack, row: Row, seconds: float, tell: Callable[[str], None]) -> Sample:
    """On a busy machine a peer may run into a timeout once: a second try decides. Raises Unfit, wrk.NoResult."""
    try:
        return _sample(stack, row, seconds)
    except (Unfit, wrk.NoResult) as fault:
        tell(f"once more: {row.name}: {fault}")
        return _sample(stack, row, seconds)


def _sample(stack: Stack, row: Row, seconds: float) -> Sample:
    served = stack.upstream.served if row.peer == DIRECT else stack.peers[row.peer]
    warm = wrk.run(stack.wrk, served.port, _load(stack, row, _list(stack, row, _FIRST_LIST)), _WARM)
    load = _load(stack, row, _list(stack, row, max(_FIRST_LIST, int(warm.answers / warm.seconds * seconds * _SPARE))))
    stack.upstream.rest()
    served.forget_output()
    hits, spent, store = stack.upstream.hits(), served.seconds(), stack.store.seconds()
    told = wrk.run(stack.wrk, served.port, load, seconds)
    memory = served.resident()
    # What a proxy leaves to be done shortly after an answer belongs to it, and so does what was under way when the load ended.
    stack.upstream.rest()
    spent, store, hits = served.seconds() - spent, stack.store.seconds() - store, stack.upstream.hits() - hits
    fault = fault_of(row, told, hits)
    if fault:
        raise Unfit(f"{fault}{served.last_words()}")
    reached = hits / row.hits
    return Sample(
        cpu=spent / reached,
        store=store / reached,
        rate=told.answers / told.seconds,
        p50=told.p50,
        p99=told.p99,
        memory=memory,
    )


def fault_of(row: Row, told: wrk.Told, hits: int) -> str | None:
    """Why a run is none of what the row says."""
    if not told.answers or told.refused or told.failed:
        return f"{told.answers} answers, of which {told.refused} were refusals; {told.failed} connections or requests failed"
    if hits < told.answers * row.hits:
        return f"{told.answers} answers, but {hits} requests have reached the upstream"
    if told.bytes < told.answers * row.answer:
        return f"{told.bytes} bytes came in {told.answers} answers of {row.answer}"
    return None


def _list(stack: Stack, row: Row, length: int) -> Path:
    if is_repeated(row.kind):
        return stack.requests.repeated(row.kind, row.measured_target, row.tenants)
    return stack.requests.once(row.kind, row.measured_target, row.tenants, length)


def _load(stack: Stack, row: Row, requests: Path) -> wrk.Load:
    return wrk.Load(
        requests, row.measured_target, row.connections, method=row.method, body=row.body, once=not is_repeated(row.kind)
    )
