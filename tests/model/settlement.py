"""Lent units of a quota and their settlement as a model: every order of a few events, explored to the end.

Workers ask the store for units, admit on them, commit what was answered and deliver when the commit was acknowledged.
Messages take any time, overtake each other, get lost and are repeated; workers die, leases end. Time is in ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.model.explore import Found, explore
from tests.model.settlement_state import NEVER, Bounds, Exchange, Faults, Message, State, Worker

LEASE = 2

Step = tuple[str, State]


def steps(state: State, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    """Everything that can happen next."""
    if state.now < bounds.horizon:
        yield "a tick", _ended(replace(state, now=state.now + 1))
    for number, worker in enumerate(state.workers):
        if worker.alive:
            yield from _of_a_worker(state, number, worker, faults, bounds)
            yield from _of_its_exchange(state, number, worker, faults, bounds)
    for place, message in enumerate(state.messages):
        rest = replace(state, messages=state.messages[:place] + state.messages[place + 1 :])
        told = f"{message.kind} of worker {message.worker}"
        if state.losses < bounds.losses:
            yield f"lost: {told}", replace(rest, losses=state.losses + 1)
        yield f"arrived: {told}", _arrived(rest, message, faults, bounds)


def _of_a_worker(state: State, number: int, worker: Worker, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    if state.deaths < bounds.deaths:
        yield f"worker {number} dies", replace(_with(state, number, Worker(alive=False)), deaths=state.deaths + 1)
    if worker.asking:
        if bounds.losses or bounds.horizon:
            # What the lost ask was granted comes back with the end of its epoch, which nobody renews.
            gone = replace(worker, asking=False)
            if not faults.keeps_the_epoch_of_a_lost_answer:
                gone = replace(gone, epoch=worker.epoch + 1, idle=0, until=NEVER)
            yield f"worker {number} gives its ask up", _with(state, number, gone)
    elif state.made < bounds.requests and not worker.idle and worker.asks < bounds.asks and not _recalling(state):
        asked = replace(worker, asking=True, asks=worker.asks + 1)
        yield f"worker {number} asks", _sent(_with(state, number, asked), Message("ask", number, worker.epoch, state.now))
    if worker.idle and worker.until > state.now and state.made < bounds.requests:
        admitted = replace(worker, idle=worker.idle - 1, using=(*worker.using, worker.epoch))
        yield f"worker {number} admits", replace(_with(state, number, admitted), made=state.made + 1)
    if worker.using:
        epoch, rest = worker.using[0], worker.using[1:]
        good = _with(state, number, replace(worker, using=rest, waiting=(*worker.waiting, epoch)))
        yield f"worker {number}'s upstream answers", _delivers(good) if faults.delivers_before_acknowledged else good
        if epoch == worker.epoch and worker.until > state.now:
            yield f"worker {number}'s upstream fails", _with(state, number, replace(worker, using=rest, idle=worker.idle + 1))


def _of_its_exchange(state: State, number: int, worker: Worker, faults: Faults, bounds: Bounds) -> Iterator[Step]:
    sent = worker.under_way
    if sent is None:
        keeps = bool(worker.idle or worker.using) and bounds.keeps and bounds.horizon > 0
        if not (worker.waiting or worker.refunds or worker.giving or keeps) or worker.numbered > bounds.requests + 1:
            return
        give = worker.idle if worker.giving else 0
        commit = worker.waiting[0] if worker.waiting else NEVER
        sent = Exchange(worker.numbered + 1, state.now, worker.epoch, commit, give, worker.refunds)
        left = replace(worker, waiting=worker.waiting[1:], refunds=0, giving=False, idle=worker.idle - give)
        after = _with(state, number, replace(left, numbered=sent.number, under_way=sent))
        yield f"worker {number} sends an exchange", _sent(after, Message("exchange", number, exchange=sent))
        return
    if state.repeats < bounds.repeats:
        again = _sent(state, Message("exchange", number, exchange=sent))
        yield f"worker {number} repeats its exchange", replace(again, repeats=state.repeats + 1)
    if sent.commit != NEVER and not worker.gave_up and state.refunds < bounds.refunds:
        # The client is answered by a broken connection; whether there is something to refund the reply tells.
        lost = replace(worker, gave_up=True, refunds=worker.refunds + faults.refunds_a_refused_commit)
        yield f"worker {number} aborts its response", replace(_with(state, number, lost), refunds=state.refunds + 1)


def _arrived(state: State, message: Message, faults: Faults, bounds: Bounds) -> State:
    if message.kind == "ask":
        return _asked(state, message, faults, bounds)
    if message.kind == "exchange":
        return _exchanged(state, message, faults, bounds)
    number, worker = message.worker, state.workers[message.worker]
    if not worker.alive:
        return state
    if message.kind == "recall":
        return _with(state, number, replace(worker, giving=worker.idle > 0))
    if message.kind == "answer":
        if not worker.asking or message.epoch != worker.epoch:
            return state
        worker = replace(worker, asking=False)
        until = (state.now if faults.counts_from_receipt else message.asked) + LEASE
        if not message.units or until <= state.now:
            return _with(state, number, replace(worker, epoch=worker.epoch + bool(message.units)))
        held = replace(worker, idle=worker.idle + message.units, until=max(worker.until, until))
        if state.made >= bounds.requests:
            return _with(state, number, held)
        held = replace(held, idle=held.idle - 1, using=(*worker.using, message.epoch))
        return replace(_with(state, number, held), made=state.made + 1)
    return _acknowledged(state, message, faults)


def _acknowledged(state: State, message: Message, faults: Faults) -> State:
    worker, sent = state.workers[message.worker], message.exchange
    if worker.under_way != sent:
        return state
    accepted = sent.commit != NEVER and bool(message.units)
    refunds = worker.refunds + (accepted and worker.gave_up and not faults.refunds_a_refused_commit)
    after = replace(worker, under_way=None, gave_up=False, refunds=refunds)
    if sent.keep == worker.epoch:
        until = max(worker.until, sent.sent + LEASE)
        after = replace(after, until=until) if message.alive else replace(after, epoch=worker.epoch + 1, idle=0, until=NEVER)
    if accepted and not worker.gave_up and not faults.delivers_before_acknowledged:
        state = _delivers(state)
    return _with(state, message.worker, after)


def _asked(state: State, message: Message, faults: Faults, bounds: Bounds) -> State:
    number, free = message.worker, _free(state, bounds)
    if free > 0:
        units = min(free, 1 + bounds.extra)
        state = _lends(state, number, message.epoch, units, state.now + LEASE)
        return _sent(state, message._replace(kind="answer", units=units))
    idle = [other for other, worker in enumerate(state.workers) if worker.idle and other != number]
    if idle and not faults.refuses_without_recall:
        state = _sent(state, *(Message("recall", other) for other in idle))
    elif idle and not (state.losses or state.deaths or state.now):
        state = replace(state, broken="I4: refused while units are idle")
    return _sent(state, message._replace(kind="answer"))


def _exchanged(state: State, message: Message, faults: Faults, bounds: Bounds) -> State:
    number, told = message.worker, message.exchange
    known = {worker: (last, accepted) for worker, last, accepted in state.last}
    last, accepted = known.get(number, (0, False))
    if told.number < last:
        return state
    fresh, alive = told.number > last, _held(state, number, told.keep) is not None
    if told.give and (fresh or faults.gives_again):
        state = _lends(state, number, told.keep, -told.give, NEVER)
    if told.refund and (fresh or faults.refunds_again):
        state = replace(state, committed=state.committed - told.refund)
    if told.commit != NEVER and (fresh or faults.commits_again):
        if _held(state, number, told.commit):
            state, accepted = _lends(state, number, told.commit, -1, NEVER), True
        else:
            accepted = faults.accepts_late_blindly or _free(state, bounds) > 0
        state = replace(state, committed=state.committed + accepted)
    if fresh and alive:
        state = _lends(state, number, told.keep, 0, state.now + LEASE)
    known[number] = (told.number, accepted)
    state = replace(state, last=tuple((worker, *rest) for worker, rest in sorted(known.items())))
    return _sent(state, Message("acknowledge", number, units=int(accepted), alive=alive, exchange=told))


def broken(state: State, bounds: Bounds) -> str:
    """The invariant that a state breaks, "" for none."""
    if state.broken:
        return state.broken
    if state.committed > bounds.cap:
        return "I1: committed more than the cap"
    if state.delivered > state.committed:
        return "I2: delivered more than counted"
    if state.committed > state.made:
        return "I6: a request is charged twice"
    for number, worker in enumerate(state.workers):
        quiet = worker.alive and not worker.asking and worker.under_way is None and not state.messages
        held = _held(state, number, worker.epoch) or 0
        known = worker.idle + (*worker.using, *worker.waiting).count(worker.epoch)
        if quiet and worker.until > state.now and held > known:
            return "I4: units are stranded with a live worker"
        if worker.alive and not state.messages and worker.until > state.now and held < known:
            return "I4: units that a worker holds are lent again"
    return ""


def _recalling(state: State) -> bool:
    # Recalls take milliseconds, and who asks again waits for them.
    return any(one.kind == "recall" for one in state.messages) or any(
        w.giving or (w.under_way and w.under_way.give) for w in state.workers
    )


def _free(state: State, bounds: Bounds) -> int:
    return bounds.cap - state.committed - sum(units for _, _, units, _ in state.lent)


def _held(state: State, number: int, epoch: int) -> int | None:
    return next((units for worker, name, units, _ in state.lent if (worker, name) == (number, epoch)), None)


def _lends(state: State, number: int, epoch: int, units: int, until: int) -> State:
    """With `units` more (or fewer) lent under an epoch; nothing is taken from an epoch that has ended."""
    rest = [one for one in state.lent if one[:2] != (number, epoch)]
    mine = next((one for one in state.lent if one[:2] == (number, epoch)), None)
    if mine is None and units <= 0:
        return state
    held, end = (mine[2], mine[3]) if mine else (0, NEVER)
    return replace(state, lent=tuple(sorted([*rest, (number, epoch, max(0, held + units), max(end, until))])))


def _ended(state: State) -> State:
    gone = tuple(one for one in state.lent if one[3] > state.now)
    # Its epoch is not used again: an acknowledgement that is late must not revive it without its units.
    workers = tuple(
        w if w.until > state.now or w.until == NEVER else replace(w, epoch=w.epoch + 1, idle=0, until=NEVER)
        for w in state.workers
    )
    return replace(state, lent=gone, workers=workers)


def _delivers(state: State) -> State:
    return replace(state, delivered=state.delivered + 1)


def _sent(state: State, *messages: Message) -> State:
    return replace(state, messages=tuple(sorted(state.messages + messages)))


def _with(state: State, number: int, worker: Worker) -> State:
    return replace(state, workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def run(bounds: Bounds, faults: Faults) -> Found:
    """All orders of what the bounds let happen."""
    start = State(workers=(Worker(),) * bounds.workers)
    return explore(start, lambda state: steps(state, faults, bounds), lambda state: broken(state, bounds))
