"""What each stage takes of a request: recorded times, without what recording costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from .batches import Measured
from .overhead import Overhead
from .recorder import Recorded
from .stages import STAGES


@dataclass(frozen=True)
class Share:
    """Of one stage and one request: seconds of processor time, calls of functions in Python and in C."""

    stage: str
    seconds: float
    calls: float
    builtin: float


def shares(measured: Measured, overhead: Overhead) -> list[Share]:
    """Of every stage, in order; the seconds add up to `measured.least`.

    From what was recorded the recorder's own cost is taken, call by call. It also slows down what it records, since it takes
    the processor's caches; that is taken to hit all alike, so what is left is scaled.
    """
    seconds = _for_one(measured, [batch.seconds for batch in _quickest(measured.recorded)], mean)
    calls = _for_one(measured, [batch.calls for batch in measured.recorded], median)
    builtin = _for_one(measured, [batch.builtin for batch in measured.counted], median)
    costs = [overhead.call * own + overhead.builtin * others for own, others in zip(calls, builtin, strict=True)]
    own = [max(0.0, spent - cost) for spent, cost in zip(seconds, costs, strict=True)]
    scale = measured.least / sum(own)
    rows = zip(STAGES, own, calls, builtin, strict=True)
    return [Share(stage.name, spent * scale, called, others) for stage, spent, called, others in rows]


def _quickest(batches: Sequence[Recorded]) -> Sequence[Recorded]:
    """A quarter of them, by all stages together: each one by itself would be at its least where another was charged for it."""
    return sorted(batches, key=lambda batch: sum(batch.seconds))[: max(1, len(batches) // 4)]


def _for_one(measured: Measured, batches: Sequence[Sequence[float]], of: Callable[[Sequence[float]], float]) -> list[float]:
    """One value of each stage, for one request."""
    return [of(values) / measured.size for values in zip(*batches, strict=True)]
