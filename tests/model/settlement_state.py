"""What is going on in the model of settlement, and what may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

NEVER = -1


class Exchange(NamedTuple):
    """What a worker tells in one numbered message: a unit to commit, one to refund, idle ones to give; all kept alive."""

    number: int
    sent: int
    keep: int
    commit: int = NEVER
    give: int = 0
    refund: int = 0


class Message(NamedTuple):
    """`units`: granted; of an acknowledgement 1 where the commit was accepted. `alive`: the kept epoch still stands."""

    kind: Literal["ask", "answer", "exchange", "acknowledge", "recall"]
    worker: int
    epoch: int = 0
    asked: int = NEVER
    units: int = 0
    alive: bool = True
    exchange: Exchange = Exchange(0, 0, 0)


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one run. `extra`: idle units wanted with an ask. `keeps`: workers renew what they hold."""

    cap: int = 1
    workers: int = 1
    requests: int = 1
    asks: int = 2
    extra: int = 0
    horizon: int = 0
    losses: int = 0
    repeats: int = 0
    deaths: int = 0
    refunds: int = 0
    keeps: bool = True


@dataclass(frozen=True)
class Faults:
    """Each leaves out a rule of the protocol."""

    counts_from_receipt: bool = False
    commits_again: bool = False
    gives_again: bool = False
    refunds_again: bool = False
    accepts_late_blindly: bool = False
    delivers_before_acknowledged: bool = False
    keeps_the_epoch_of_a_lost_answer: bool = False
    refuses_without_recall: bool = False
    refunds_a_refused_commit: bool = False


@dataclass(frozen=True)
class Worker:
    """`using`: epochs of requests whose upstream has not answered; `waiting`: of those that wait to be committed."""

    alive: bool = True
    asks: int = 0
    asking: bool = False
    epoch: int = 0
    idle: int = 0
    until: int = NEVER
    using: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    refunds: int = 0
    giving: bool = False
    numbered: int = 0
    under_way: Exchange | None = None
    gave_up: bool = False


@dataclass(frozen=True)
class State:
    """`lent`: (worker, epoch, units, end) at the store. `last`: each worker's last exchange with its reply."""

    now: int = 0
    committed: int = 0
    delivered: int = 0
    lent: tuple[tuple[int, int, int, int], ...] = ()
    last: tuple[tuple[int, int, bool], ...] = ()
    workers: tuple[Worker, ...] = ()
    messages: tuple[Message, ...] = ()
    made: int = 0
    losses: int = 0
    repeats: int = 0
    deaths: int = 0
    refunds: int = 0
    broken: str = ""
