"""`python -m bench.faults NAME… [--times N] [--workers N]`: the runs at length. Ends with 1 where a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from . import failover, killing, outage, quota, suspension
from .stack import WORKERS, Stack, running
from .table import load, show

_CLIENTS = 500
_SERVING = 60.0
_WITHIN = "5s"  # of a question to the store where refusals for a slow one would blur what is counted


class Outcome(Protocol):
    """What a run has seen: whether the promise was kept, and its line of the table."""

    @property
    def holds(self) -> bool: ...

    @property
    def row(self) -> tuple[str, ...]: ...


Rows = Iterator[tuple[str, Outcome]]


def _quota(times: int, workers: int) -> Rows:
    with running(workers, TENANTGATE__STORE__DEADLINE=_WITHIN) as stack:
        for _ in range(times):
            for kill in (False, True):
                for units in (1, 10, 1000):
                    _wait(stack)
                    yield "killed" if kill else "whole", asyncio.run(quota.exhaust(stack, units, _CLIENTS, kill=kill))


def _suspend(times: int, workers: int) -> Rows:
    with running(workers) as stack:
        yield "told", asyncio.run(suspension.suspend(stack, times))


def _suspend_untold(times: int, workers: int) -> Rows:
    with running(workers) as stack:
        stack.link.deafen()
        yield "not told", asyncio.run(suspension.suspend(stack, times))


def _kill(times: int, workers: int) -> Rows:
    with running(workers) as stack:
        yield "killed", asyncio.run(killing.kill(stack, times))


def _outage(times: int, workers: int) -> Rows:
    with running(workers) as stack:
        for _ in range(times):
            for name, fault in outage.FAULTS.items():
                yield name, asyncio.run(outage.break_off(stack, fault, 3.0))


def _failover(times: int, workers: int) -> Rows:
    for _ in range(times):
        for behind in (0.0, 0.2):
            with running(workers) as stack:
                yield f"{behind * 1000:.0f} ms behind", asyncio.run(failover.promote(stack, behind))


_OF_SUSPENSIONS = ("times", "judged", "let in", "median ms", "worst ms", "other answers")
RUNS: dict[str, tuple[Callable[[int, int], Rows], int, tuple[str, ...]]] = {
    "quota": (_quota, 1, ("units", "at once", "delivered", "lost", "counted", "all after s", "other answers")),
    "suspend": (_suspend, 200, _OF_SUSPENSIONS),
    "suspend-untold": (_suspend_untold, 200, _OF_SUSPENSIONS),
    "kill": (_kill, 50, ("deaths", "delivered", "counted", "more", "too few", "answers")),
    "outage": (_outage, 1, ("units", "delivered", "counted", "503", "median ms", "worst ms", "recovered ms", "answers")),
    "failover": (_failover, 1, ("units", "delivered", "counted", "behind", "over", "503", "recovered ms", "answers")),
}
"""By name: the run, how often by itself, and the columns of its table beside the first."""


def _wait(stack: Stack) -> None:
    deadline = time.monotonic() + _SERVING
    while not stack.is_whole():
        if time.monotonic() > deadline:
            raise RuntimeError("the gateway did not get whole again")
        time.sleep(0.05)


def main() -> int:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("names", nargs="+", choices=RUNS, metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--times", type=int, help="how often, instead of each run's own number")
    parser.add_argument("--workers", type=int, default=WORKERS)
    arguments, kept = parser.parse_args(), True
    for name in arguments.names:
        run, times, head = RUNS[name]
        started = time.monotonic()
        outcomes = list(run(arguments.times or times, arguments.workers))
        rows = [("ok" if outcome.holds else "BROKEN", what, *outcome.row) for what, outcome in outcomes]
        show(f"{name}, {arguments.workers} workers, {time.monotonic() - started:.0f} s, {load()}", ("", "", *head), rows)
        kept = kept and all(outcome.holds for _, outcome in outcomes)
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
