"""One tenant at ten times its limit and more, and what another one notices of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import wrk
from .peers import TENANTGATE
from .stack import Stack
from .tables import MAIN
from .tenants import BUSY, named

_TARGET = MAIN.rows[0].measured_target
# A connection that waits 20 ms after each answer asks up to 50 times a second, and on a busy machine about 30 times: 4 of them,
# and as many as it takes for ten times 100 even then.
_PAUSE, _QUIET_CONNECTIONS, _BUSY_CONNECTIONS = 20, 4, 36
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


def disturb(stack: Stack, rounds: int, seconds: float, tell: Callable[[str], None]) -> Sequence[Noticed]:
    """Raises wrk.NoResult."""
    quiet = wrk.Load(stack.requests.of(stack.customers[0]), _TARGET, _QUIET_CONNECTIONS, pause=_PAUSE)
    busy = wrk.Load(stack.requests.of(named(stack.customers, BUSY)), _TARGET, _BUSY_CONNECTIONS, pause=_PAUSE)
    port = stack.port(TENANTGATE.name)
    noticed, seconds = [], seconds * _LONGER
    for number in range(rounds):
        tell(f"neighbour: round {number + 1} of {rounds}")
        wrk.run(stack.wrk, port, quiet, _WARM)
        alone = wrk.run(stack.wrk, port, quiet, seconds)
        other = wrk.start(stack.wrk, port, busy, seconds + 2 * _WARM)
        wrk.run(stack.wrk, port, quiet, _WARM)
        beside = wrk.run(stack.wrk, port, quiet, seconds)
        got = wrk.end(other)
        if alone.refused or beside.refused or alone.failed or beside.failed:
            raise wrk.NoResult("the quiet tenant was refused, or not answered")
        noticed.append(Noticed(alone.p99, beside.p99, got.answers / got.seconds, (got.answers - got.refused) / got.seconds))
    return noticed
