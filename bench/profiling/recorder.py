"""Counts and times every call, by stage, with the interpreter's own profiler (cProfile).

What a function spends in others that are written in C is its own. Of a compiled module nothing is seen inside either: all that
it takes belongs to the stage from which it was entered.
"""

from __future__ import annotations

import cProfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, Self

from .stages import OURSELVES, STAGES, stage_of

_OURS = next(number for number, stage in enumerate(STAGES) if stage.name == OURSELVES)
# So deep may functions of no stage call each other.
_DEPTH = 8

Function = CodeType | str
"""A name stands for a function written in C."""
Weights = Mapping[int, float]
"""Parts of a function's time by the number of the stage. They add up to 1."""


@dataclass(frozen=True)
class Edge:
    """What one function has spent in its own body where another called it."""

    caller: Function
    callee: Function
    calls: int
    seconds: float


@dataclass(frozen=True)
class Recorded:
    """By the number of the stage: seconds, calls of functions in Python, and of functions in C where these were counted."""

    seconds: Sequence[float]
    calls: Sequence[float]
    builtin: Sequence[float]


class Recorder:
    """As a context it records; left, `taken` gives what was recorded since it was entered. `builtin`: count calls of functions
    in C as well, which takes more time."""

    def __init__(self, *, builtin: bool = False) -> None:
        self._builtin = builtin
        self._profile = cProfile.Profile(builtins=builtin)

    def __enter__(self) -> Self:
        self._profile.clear()
        self._profile.enable()
        return self

    def __exit__(self, *_: object) -> None:
        self._profile.disable()

    def taken(self) -> Recorded:
        return by_stage(list(_edges(self._profile.getstats())))


def by_stage(edges: Sequence[Edge]) -> Recorded:
    """A function of no stage belongs to those of its callers, in proportion to the time that it took for each."""
    incoming = defaultdict[Function, list[Edge]](list)
    for edge in edges:
        incoming[edge.callee].append(edge)
    weights = _weights(incoming)
    seconds, calls, builtin = ([0.0] * len(STAGES) for _ in range(3))
    for edge in edges:
        own = None if isinstance(edge.callee, str) else stage_of(edge.callee)
        for stage, weight in ({own: 1.0} if own is not None else weights[edge.caller]).items():
            seconds[stage] += weight * edge.seconds
            counted = builtin if isinstance(edge.callee, str) else calls
            counted[stage] += weight * edge.calls
    return Recorded(seconds, calls, builtin)


def _weights(incoming: Mapping[Function, Sequence[Edge]]) -> Mapping[Function, Weights]:
    """Found in rounds: each takes one more call into account. Whoever was called by nobody that was seen is ourselves."""
    found = defaultdict[Function, Weights](lambda: {_OURS: 1.0})
    for function in incoming:
        stage = None if isinstance(function, str) else stage_of(function)
        if stage is not None:
            found[function] = {stage: 1.0}
    shared = [function for function in incoming if function not in found]
    for _ in range(_DEPTH):
        for function in shared:
            found[function] = _mixed([(edge.seconds, found[edge.caller]) for edge in incoming[function]])
    return found


def _mixed(parts: Sequence[tuple[float, Weights]]) -> Weights:
    total = sum(share for share, _ in parts) or 1.0
    mixed = defaultdict[int, float](float)
    for share, weights in parts:
        for stage, weight in weights.items():
            mixed[stage] += weight * share / total
    return mixed


def _edges(statistics: Sequence[Any]) -> Iterator[Edge]:
    """Of what cProfile has; its types say nothing. What was entered from outside has no caller."""
    called = defaultdict[Function, list[float]](lambda: [0, 0.0])
    for entry in statistics:
        for sub in entry.calls or ():
            seen = called[sub.code]
            seen[0], seen[1] = seen[0] + sub.callcount, seen[1] + sub.inlinetime
            yield Edge(entry.code, sub.code, sub.callcount, sub.inlinetime)
    for entry in statistics:
        calls, seconds = called[entry.code]
        if entry.callcount > calls:
            yield Edge("", entry.code, entry.callcount - int(calls), entry.inlinetime - seconds)
