"""The machine under the measurement: which processors are for whom, and how much of them others took."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOPS = 300_000


@dataclass(frozen=True)
class Cores:
    """`proxy` is for the proxy that is measured, `load` for all that serves the measurement. One processor is both."""

    proxy: int
    load: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[-1])


@contextmanager
def on(core: int) -> Iterator[None]:
    """Meanwhile this thread, and the processes that it starts for good, are on one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def calibrate(core: int) -> float:
    """Seconds that a loop of always the same work takes on a processor, the best of five: it tells how fast it is now."""
    with on(core):
        return min(_loop() for _ in range(5))


def steal(stat: str) -> float:
    """Seconds that the host took from all processors together since the boot, by the text of /proc/stat."""
    # cpu user nice system idle iowait irq softirq steal …
    return int(stat.splitlines()[0].split()[8]) / _TICKS


def stolen() -> float:
    """`steal` until now."""
    return steal(Path("/proc/stat").read_text())


def _loop() -> float:
    started, total = time.perf_counter(), 0
    for number in range(_LOOPS):
        total += number
    return time.perf_counter() - started
