"""A request that needs a unit of each of two hash slots as a model: every order of a few events, explored to the end.

The first slot lends its unit, the second one decides; where it refuses, or does not answer, the first one's goes back, in a
numbered message that is repeated. Messages take any time, get lost and are repeated; workers die, leases end. Time is in ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tests.model.explore import Found, explore

CAPS = (1, 1)
LEASE = 2
NEVER = -1


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one run. `others`: units of the second slot that somebody else has."""

    workers: int = 1
    asks: int = 2
    others: int = 0
    horizon: int = 0
    losses: int = 0
    repeats: int = 0
    deaths: int = 0


@dataclass(frozen=True)
class Faults:
    """Each leaves out a rule of the protocol."""

    keeps_what_was_lent: bool = False
    gives_again: bool = False
    keeps_the_epoch_past_its_end: bool = False
    keeps_the_epoch_of_a_lost_answer: bool = False
    refuses_for_what_may_come_back: bool = False


class Message(NamedTuple):
    kind: Literal["ask", "answer", "back", "acknowledge"]
    worker: int
    slot: int = 0
    epoch: int = 0
    said: Literal["yes", "no", "again", ""] = ""
    number: int = 0


@dataclass(frozen=True)
class Worker:
    """`at`: the slot that is asked, -1 for none; `asked`: when the request began. `epochs` of both slots; `ends`: when that of
    the first one does. `using` of its units are in use until `until`. `giving`: epochs of what goes back, one unit each; the
    first of them was sent under the number `numbered`."""

    alive: bool = True
    at: int = NEVER
    asked: int = 0
    epochs: tuple[int, int] = (0, 0)
    ends: int = NEVER
    using: int = 0
    until: int = NEVER
    numbered: int = 0
    giving: tuple[int, ...] = ()


@dataclass(frozen=True)
class State:
    """`lent`: (slot, worker, epoch, units, end) at the store. `last`: each worker's last number there."""

    workers: tuple[Worker, ...]
    now: int = 0
    lent: tuple[tuple[int, int, int, int, int], ...] = ()
    last: tuple[int, ...] = ()
    messages: tuple[Message, ...] = ()
    asks: int = 0
    losses: int = 0
    repeats: int = 0
    deaths: int = 0
    broken: str = ""


Step = tuple[str, State]


def steps(state: State, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    """Everything that can happen next."""
    # Whoever asks has given up within a tick.
    if state.now < bounds.horizon and all(worker.at == NEVER or worker.asked == state.now for worker in state.workers):
        gone = tuple(one for one in state.lent if one[4] > state.now + 1)
        yield "a tick", replace(state, now=state.now + 1, lent=gone)
    for number, worker in enumerate(state.workers):
        if worker.alive:
            yield from _of_a_worker(state, number, worker, faults, bounds)
    for place, message in enumerate(state.messages):
        rest = replace(state, messages=state.messages[:place] + state.messages[place + 1 :])
        told = f"{message.kind} {message.said} of worker {message.worker} and slot {message.slot}"
        if state.losses < bounds.losses:
            yield f"lost: {told}", replace(rest, losses=state.losses + 1)
        yield f"arrived: {told}", _arrived(rest, message, faults, bounds)


def _of_a_worker(state: State, number: int, worker: Worker, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    if state.deaths < bounds.deaths:
        yield f"worker {number} dies", replace(_with(state, number, Worker(alive=False)), deaths=state.deaths + 1)
    if worker.at == NEVER and not worker.using and state.asks < bounds.asks:
        ends = worker.until if faults.keeps_the_epoch_past_its_end else worker.ends
        if ends != NEVER and ends <= state.now + 1:
            # It may end while it is asked under.
            worker = replace(worker, epochs=(worker.epochs[0] + 1, worker.epochs[1]), ends=NEVER)
        asked = _with(state, number, replace(worker, at=0, asked=state.now))
        yield f"worker {number} asks", _sent(replace(asked, asks=state.asks + 1), Message("ask", number, 0, worker.epochs[0]))
    if worker.at != NEVER and bounds.losses:
        epochs, place = list(worker.epochs), worker.at
        epochs[place] += not faults.keeps_the_epoch_of_a_lost_answer
        gone = replace(worker, at=NEVER, epochs=(epochs[0], epochs[1]), ends=worker.ends if place else NEVER)
        given_up = _with(state, number, gone)
        yield f"worker {number} gives slot {place} up", _gives(given_up, number, faults) if place else given_up
    if worker.giving and state.repeats < bounds.repeats:
        again = Message("back", number, 0, worker.giving[0], number=worker.numbered)
        yield f"worker {number} repeats what goes back", replace(_sent(state, again), repeats=state.repeats + 1)


def _gives(state: State, number: int, faults: Faults) -> State:
    worker = state.workers[number]
    if faults.keeps_what_was_lent:
        return state
    waiting = _with(state, number, replace(worker, giving=(*worker.giving, worker.epochs[0])))
    return waiting if worker.giving else _sends(waiting, number)


def _sends(state: State, number: int) -> State:
    """What is next to go back, under a number of its own."""
    worker = state.workers[number]
    if not worker.giving:
        return state
    numbered = worker.numbered + 1
    back = Message("back", number, 0, worker.giving[0], number=numbered)
    return _sent(_with(state, number, replace(worker, numbered=numbered)), back)


def _arrived(state: State, message: Message, faults: Faults, bounds: Bounds) -> State:
    number, worker = message.worker, state.workers[message.worker]
    if message.kind == "ask":
        return _asked(state, message, faults, bounds)
    if message.kind == "back":
        if message.number > state.last[number] or faults.gives_again:
            state = _lends(state, 0, number, message.epoch, -1, NEVER)
        last = (*state.last[:number], max(message.number, state.last[number]), *state.last[number + 1 :])
        return _sent(replace(state, last=last), message._replace(kind="acknowledge"))
    if not worker.alive:
        return state
    if message.kind == "acknowledge":
        if message.number != worker.numbered or not worker.giving:
            return state
        return _sends(_with(state, number, replace(worker, giving=worker.giving[1:])), number)
    if worker.at != message.slot or worker.epochs[message.slot] != message.epoch:
        return state
    if message.said != "yes":
        refused = _with(state, number, replace(worker, at=NEVER))
        return _gives(refused, number, faults) if message.slot else refused
    if message.slot == 0:
        ends = worker.ends if worker.ends != NEVER else worker.asked + LEASE
        state = _with(state, number, replace(worker, at=1, ends=ends))
        return _sent(state, Message("ask", number, 1, worker.epochs[1]))
    until = worker.asked + LEASE
    if until <= state.now:
        return _gives(_with(state, number, replace(worker, at=NEVER)), number, faults)
    return _with(state, number, replace(worker, at=NEVER, using=worker.using + 1, until=until, ends=max(worker.ends, until)))


def _asked(state: State, message: Message, faults: Faults, bounds: Bounds) -> State:
    slot, number = message.slot, message.worker
    others = bounds.others if slot else 0
    if CAPS[slot] - others > sum(units for place, _, _, units, _ in state.lent if place == slot):
        state = _lends(state, slot, number, message.epoch, 1, state.now + LEASE)
        return _sent(state, message._replace(kind="answer", said="yes"))
    pending = any(worker.alive and (worker.at == 1 or worker.giving) for worker in state.workers)
    if slot == 0 and pending and not faults.refuses_for_what_may_come_back:
        return _sent(state, message._replace(kind="answer", said="again"))
    if slot == 0 and pending and not any(worker.using for worker in state.workers):
        state = replace(state, broken="I4: refused for what is given back")
    return _sent(state, message._replace(kind="answer", said="no"))


def broken(state: State) -> str:
    """The invariant that a state breaks, "" for none."""
    if state.broken:
        return state.broken
    live = [worker for worker in state.workers if worker.alive and worker.until > state.now]
    if sum(worker.using for worker in live) > min(CAPS):
        return "I1: more are in use than there are"
    for number, worker in enumerate(state.workers):
        held = _held(state, 0, number, worker.epochs[0])
        if worker in live and held < worker.using:
            return "I1: what is in use is lent again"
        quiet = worker.alive and worker.at == NEVER and not worker.giving and not state.messages
        if quiet and held > worker.using:
            return "I5: a refused request has taken something"
    return ""


def _held(state: State, slot: int, number: int, epoch: int) -> int:
    return sum(units for *whose, units, _ in state.lent if whose == [slot, number, epoch])


def _lends(state: State, slot: int, number: int, epoch: int, units: int, until: int) -> State:
    """With `units` more (or fewer) lent under an epoch; nothing is taken from an epoch that has ended."""
    rest = [one for one in state.lent if one[:3] != (slot, number, epoch)]
    mine = next((one for one in state.lent if one[:3] == (slot, number, epoch)), None)
    held, end = (mine[3], mine[4]) if mine else (0, NEVER)
    if held + units > 0:
        rest.append((slot, number, epoch, held + units, max(end, until)))
    return replace(state, lent=tuple(sorted(rest)))


def _sent(state: State, message: Message) -> State:
    return replace(state, messages=tuple(sorted((*state.messages, message))))


def _with(state: State, number: int, worker: Worker) -> State:
    return replace(state, workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def run(bounds: Bounds, faults: Faults) -> Found:
    """All orders of what the bounds let happen."""
    start = State(workers=(Worker(),) * bounds.workers, last=(0,) * bounds.workers)
    return explore(start, lambda state: steps(state, faults, bounds), broken)
