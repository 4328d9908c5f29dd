"""What recording costs: measured on functions that do nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import process_time

from .recorder import Recorder

_TIMES, _TRIES = 2000, 20


@dataclass(frozen=True)
class Overhead:
    """Seconds that a call takes more while it is recorded, of functions in Python and in C."""

    call: float
    builtin: float


def overhead() -> Overhead:
    return Overhead(_more(_call), _more(_call_builtin))


def _more(work: Callable[[], None]) -> float:
    recorder = Recorder()
    spent = [(_spent(work, nullcontext()), _spent(work, recorder)) for _ in range(_TRIES)]
    plain, recorded = min(one for one, _ in spent), min(other for _, other in spent)
    return max(0.0, recorded - plain) / _TIMES


def _spent(work: Callable[[], None], context: AbstractContextManager[object]) -> float:
    with context:
        started = process_time()
        work()
        return process_time() - started


def _call() -> None:
    for _ in range(_TIMES):
        _nothing()


def _call_builtin() -> None:
    function = abs
    for number in range(_TIMES):
        function(number)


def _nothing() -> None: ...
