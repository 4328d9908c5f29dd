"""Lent cells of a rate as a model: one worker admits on lent cells, others ask for each; one cell comes back in two ticks.

A request that needs something of another hash slot too is lent its cell, which is used when that one has granted the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.model.explore import Found, explore

BURST = 2
INTERVAL = 2
LEASE = 2
HORIZON = 7
NEVER = -1


@dataclass(frozen=True)
class Faults:
    """Each leaves out a rule of the protocol."""

    moves_at_the_lease: bool = False
    frees_what_ended: bool = False
    moves_back: bool = False


@dataclass(frozen=True)
class State:
    """`arrival`: GCRA's arrival time. `idle` and `used` (when it was) are the worker's, `lent` and `end` the store's.
    `undecided`: a request has its cell, and another slot decides about it."""

    now: int = 0
    arrival: int = 0
    lent: int = 0
    end: int = NEVER
    idle: int = 0
    used: tuple[int, ...] = ()
    undecided: bool = False
    admitted: tuple[int, ...] = ()


def steps(state: State, faults: Faults) -> Iterator[tuple[str, State]]:
    """Everything that can happen next. A report may never arrive: the lease ends first then."""
    if state.now < HORIZON:
        yield "a tick", _ended(replace(state, now=state.now + 1), faults)
    charged = max(state.arrival, state.now) + INTERVAL
    lent = 0 if faults.moves_at_the_lease else state.lent
    if charged + lent * INTERVAL <= state.now + BURST * INTERVAL:
        yield "an ask is granted", _admits(replace(state, arrival=charged))
        if not state.lent and not state.undecided:
            lends = replace(state, lent=1, used=(), end=state.now + LEASE)
            yield "a cell is lent", replace(lends, idle=1, arrival=charged if faults.moves_at_the_lease else state.arrival)
            at_once = replace(state, arrival=charged, undecided=True)
            yield "a cell is set aside", at_once if faults.moves_back else replace(lends, undecided=True)
    if state.undecided:
        yield from _decided(replace(state, undecided=False), faults)
    if state.idle and state.end > state.now:
        yield "the worker admits", _admits(replace(state, idle=0, used=(state.now,)))
    if state.used and state.lent:
        arrival = state.arrival if faults.moves_at_the_lease else max(state.arrival, state.used[0]) + INTERVAL
        yield "the use is reported", replace(state, arrival=arrival, lent=0, end=NEVER, used=())


def _decided(state: State, faults: Faults) -> Iterator[tuple[str, State]]:
    if faults.moves_back:
        # The way back is what breaks: a cell can be taken back only where nothing was used since.
        yield "the other slot refuses", replace(state, arrival=state.arrival - INTERVAL)
        return
    yield "the other slot grants", _admits(replace(state, used=(state.now,)))
    yield "the other slot refuses", replace(state, lent=0, end=NEVER)


def broken(state: State) -> str:
    """I1 where a window admitted more than the burst and what came back in it."""
    times = state.admitted
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            if (last - first + 1 - BURST) * INTERVAL > times[last] - start:
                return "I1: a window admits more than burst + rate * T"
    return ""


def _admits(state: State) -> State:
    return replace(state, admitted=(*state.admitted, state.now))


def _ended(state: State, faults: Faults) -> State:
    if not state.lent or state.end > state.now:
        return state
    charges = not (faults.frees_what_ended or faults.moves_at_the_lease)
    arrival = max(state.arrival, state.end) + state.lent * INTERVAL if charges else state.arrival
    return replace(state, arrival=arrival, lent=0, end=NEVER, idle=0, used=(), undecided=False)


def run(faults: Faults) -> Found:
    """All orders up to the horizon."""
    return explore(State(), lambda state: steps(state, faults), broken)
