"""Slots of two workers as a model: held under an epoch, renewed, released late, and forgotten by a promoted store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.model.explore import Found, explore

LIMIT = 1
LEASE = 2
HORIZON = 4


@dataclass(frozen=True)
class Faults:
    """Each leaves out a rule, or takes an assumption away."""

    frees_anybodys: bool = False
    promotion_forgets: bool = False


@dataclass(frozen=True)
class State:
    """`held`: (epoch, end) at the store. `running`: (epoch, renewed at) of requests; an epoch belongs to one request."""

    now: int = 0
    epochs: int = 0
    held: tuple[tuple[int, int], ...] = ()
    running: tuple[tuple[int, int], ...] = ()


def steps(state: State, faults: Faults) -> Iterator[tuple[str, State]]:
    """Everything that can happen next. A worker that died is one that neither renews nor releases any more."""
    if state.now < HORIZON:
        now = state.now + 1
        yield "a tick", replace(state, now=now, held=tuple(one for one in state.held if one[1] > now))
    if len(state.held) < LIMIT and state.epochs < 3:
        held = (*state.held, (state.epochs, state.now + LEASE))
        running = (*state.running, (state.epochs, state.now))
        yield "a slot is taken", replace(state, epochs=state.epochs + 1, held=held, running=running)
    if faults.promotion_forgets and state.held:
        yield "the store is promoted", replace(state, held=())
    for epoch, _ in state.running:
        rest = tuple(one for one in state.running if one[0] != epoch)
        mine = tuple(one for one in state.held if one[0] != epoch)
        released = () if faults.frees_anybodys else mine
        yield f"request {epoch} releases", replace(state, running=rest, held=released)
        if mine != state.held:
            held = (*mine, (epoch, state.now + LEASE))
            yield f"request {epoch} is renewed", replace(state, held=held, running=(*rest, (epoch, state.now)))


def broken(state: State) -> str:
    """Requests whose worker renewed them within a lease are never more than the limit."""
    live = sum(renewed + LEASE > state.now for _, renewed in state.running)
    return "I1: more requests run than there are slots" if live > LIMIT else ""


def run(faults: Faults) -> Found:
    """All orders up to the horizon."""
    return explore(State(), lambda state: steps(state, faults), broken)
