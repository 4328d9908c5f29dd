"""Record leases as a model: every order of a few events, explored to the end.

Workers decide under version 0 of a record, on leases. Somebody suspends the tenant, which writes version 1. Messages take
any time, overtake each other and get lost; workers die, the author of the change dies and another repeats it, the store
restarts without its leases. Whatever happens, no worker may admit under version 0 once the change has answered.

`docs/architecture.md`, "Records, leases", tells the protocol; a change of it is tried here first. Time is in ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tests.model.explore import Found, explore

LEASE = 2
HORIZON = 3
NEVER = -1


class Message(NamedTuple):
    """`ask`, and the `answer` that leases version 0, carry when it was asked."""

    kind: Literal["ask", "answer", "change", "acknowledge"]
    worker: int
    asked: int = NEVER


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one run."""

    workers: int = 1
    asks: int = 2
    losses: int = 0
    deaths: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class Faults:
    """Each leaves out a rule of the protocol."""

    no_tombstone: bool = False
    counts_from_receipt: bool = False
    change_does_not_wait: bool = False
    forgets_the_restart: bool = False
    repetition_does_not_wait: bool = False
    trusts_a_late_answer: bool = False


@dataclass(frozen=True)
class Worker:
    """`until`: end of its lease of version 0. `barred_until`: it accepts no version 0 before then."""

    alive: bool = True
    asks: int = 0
    until: int = NEVER
    barred_until: int = NEVER


@dataclass(frozen=True)
class State:
    now: int = 0
    version: int = 0
    change: Literal["none", "waiting", "orphaned", "answered"] = "none"
    change_ends: int = NEVER
    leased: frozenset[int] = frozenset()
    outdated: frozenset[int] = frozenset()
    restarted: int = NEVER
    workers: tuple[Worker, ...] = ()
    messages: tuple[Message, ...] = ()
    losses: int = 0
    deaths: int = 0
    restarts: int = 0
    broken: bool = False


Step = tuple[str, State]


def steps(state: State, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    """Everything that can happen next."""
    if state.now < HORIZON:
        yield "a tick", replace(state, now=state.now + 1)
    yield from _of_the_change(state, faults, bounds)
    yield from _of_workers(state, bounds)
    if state.restarts < bounds.restarts:
        forgotten: frozenset[int] = frozenset()
        yield (
            "the store restarts",
            replace(state, leased=forgotten, outdated=forgotten, restarted=state.now, restarts=state.restarts + 1),
        )
    for place, message in enumerate(state.messages):
        rest = replace(state, messages=state.messages[:place] + state.messages[place + 1 :])
        if state.losses < bounds.losses:
            yield f"lost: {_told(message)}", replace(rest, losses=state.losses + 1)
        yield f"arrived: {_told(message)}", _arrived(rest, message, faults)


def _of_the_change(state: State, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    if state.change == "none":
        written = replace(state, version=1, leased=frozenset(), outdated=state.leased)
        told = _sent(written, *(Message("change", worker) for worker in range(len(state.workers))))
        yield "the change is written", replace(told, change="waiting", change_ends=state.now + LEASE)
    elif state.change == "waiting":
        unbroken = faults.forgets_the_restart or state.restarted == NEVER or state.now - state.restarted >= LEASE
        if faults.change_does_not_wait or state.now >= state.change_ends or (unbroken and not state.outdated):
            yield "the change answers", replace(state, change="answered")
        if state.deaths < bounds.deaths:
            yield "the author dies", replace(state, change="orphaned", deaths=state.deaths + 1)
    elif state.change == "orphaned":
        if faults.repetition_does_not_wait:
            yield "the repeated change answers", replace(state, change="answered")
        yield "the change is repeated", replace(state, change="waiting", change_ends=state.now + LEASE)


def _of_workers(state: State, bounds: Bounds) -> Iterator[Step]:
    for number, worker in enumerate(state.workers):
        if not worker.alive:
            continue
        if state.deaths < bounds.deaths:
            yield f"worker {number} dies", replace(_with(state, number, Worker(alive=False)), deaths=state.deaths + 1)
        if worker.asks < bounds.asks and state.version == 0:
            asked = _with(state, number, replace(worker, asks=worker.asks + 1))
            yield f"worker {number} asks", _sent(asked, Message("ask", number, state.now))
        if worker.until > state.now and state.change == "answered":
            yield f"worker {number} admits", replace(state, broken=True)


def _arrived(state: State, message: Message, faults: Faults) -> State:
    kind, number, asked = message
    if kind == "ask":
        # Of version 1 leases are granted as well, but nobody has to wait for those.
        answer = Message("answer", number, asked)
        return state if state.version else _sent(replace(state, leased=state.leased | {number}), answer)
    if kind == "acknowledge":
        return replace(state, outdated=state.outdated - {number})
    worker = state.workers[number]
    if not worker.alive:
        return state
    if kind == "change":
        barred = NEVER if faults.no_tombstone else state.now + LEASE
        return _sent(_with(state, number, replace(worker, until=NEVER, barred_until=barred)), Message("acknowledge", number))
    until = (state.now if faults.counts_from_receipt else asked) + LEASE
    if worker.barred_until <= state.now < until:
        worker = replace(worker, until=max(worker.until, until))
    # An answer grants an admission too; it counts if the lease that came with it stands.
    if state.change == "answered" and (worker.until > state.now or faults.trusts_a_late_answer):
        return replace(state, broken=True)
    return _with(state, number, worker)


def _sent(state: State, *messages: Message) -> State:
    return replace(state, messages=tuple(sorted(state.messages + messages)))


def _with(state: State, number: int, worker: Worker) -> State:
    return replace(state, workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def _distilled(state: State) -> State:
    """The same, without what makes no difference any more: so that fewer states are different."""
    over = {"answered": {"ask", "acknowledge"}, "none": set[str]()}.get(state.change, {"ask"})
    nobody: frozenset[int] = frozenset()
    return replace(
        state,
        leased=nobody if state.version else state.leased,
        outdated=nobody if state.change == "answered" else state.outdated,
        change_ends=NEVER if state.change == "answered" else state.change_ends,
        messages=tuple(one for one in state.messages if one.kind not in over and _matters(state, one)),
        restarted=state.restarted if state.now - state.restarted < LEASE else NEVER,
        workers=tuple(
            replace(
                worker,
                until=worker.until if worker.until > state.now else NEVER,
                barred_until=worker.barred_until if worker.barred_until > state.now else NEVER,
            )
            for worker in state.workers
        ),
    )


def _matters(state: State, message: Message) -> bool:
    return message.kind in ("ask", "acknowledge") or state.workers[message.worker].alive


def _told(message: Message) -> str:
    return f"{message.kind} of worker {message.worker}"


def run(faults: Faults = Faults(), bounds: Bounds = Bounds()) -> Found:
    """All orders of what the bounds let happen."""
    start = State(workers=(Worker(),) * bounds.workers)

    def distilled(state: State) -> Iterator[Step]:
        return ((name, _distilled(after)) for name, after in steps(state, faults, bounds))

    return explore(start, distilled, lambda state: "I3: admitted after the change has answered" if state.broken else "")
