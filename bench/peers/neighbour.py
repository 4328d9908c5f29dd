"""One tenant at ten times its limit, and what another one notices of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import wrk
from .peers import TENANTGATE
from .stack import Stack
from .tables import MAIN
from .tenants import BUSY, named

LIMIT, TIMES = 50, 10
"""Requests a second of the busy tenant's plan in gateway.yaml, and how many times as many it asks for."""
_TARGET = MAIN.rows[0].measured_target
_QUIET, _QUIET_CONNECTIONS, _BUSY_CONNECTIONS = 100, 16, 64
# On a machine on which it comes to less, nobody was disturbed.
_ENOUGH = 0.9
# A p99 of few answers is little but the longest of them.
_LONGER = 2
_WARM = 1.0


@dataclass(frozen=True)
class Noticed:
    """p99 of the quiet tenant in seconds, alone and beside the other, and what the other one got each second."""

    alone: float
    beside: float
    asked: float
    admitted: float


@dataclass(frozen=True)
class Disturbed:
    """By rounds. `failed` says why there are no more of them."""

    noticed: Sequence[Noticed] = field(default_factory=list)
    failed: str | None = None


def disturb(stack: Stack, rounds: int, seconds: float, tell: Callable[[str], None]) -> Disturbed:
    """Each round measures the quiet tenant alone, and then beside the busy one."""
    noticed = list[Noticed]()
    for number in range(rounds):
        tell(f"neighbour: round {number + 1} of {rounds}")
        try:
            one = _round(stack, seconds * _LONGER)
        except wrk.NoResult as fault:
            return Disturbed([], f"round {number + 1}: {fault}")
        if one.asked < _ENOUGH * TIMES * LIMIT:
            return Disturbed([], f"round {number + 1}: the other could ask only {one.asked:.0f} times a second")
        noticed.append(one)
    return Disturbed(noticed)


def _round(stack: Stack, seconds: float) -> Noticed:
    port = stack.port(TENANTGATE.name)
    quiet = wrk.Load(stack.requests.of(stack.customers[0]), _TARGET, _QUIET_CONNECTIONS, rate=_QUIET)
    busy = wrk.Load(stack.requests.of(named(stack.customers, BUSY)), _TARGET, _BUSY_CONNECTIONS, rate=TIMES * LIMIT)
    wrk.run(stack.wrk, port, quiet, _WARM)
    alone = wrk.run(stack.wrk, port, quiet, seconds)
    other = wrk.start(stack.wrk, port, busy, seconds + 2 * _WARM)
    wrk.run(stack.wrk, port, quiet, _WARM)
    beside = wrk.run(stack.wrk, port, quiet, seconds)
    got = wrk.end(other)
    if alone.refused or beside.refused or alone.failed or beside.failed:
        raise wrk.NoResult("the quiet tenant was refused, or not answered")
    return Noticed(alone.p99, beside.p99, got.answers / got.seconds, (got.answers - got.refused) / got.seconds)
