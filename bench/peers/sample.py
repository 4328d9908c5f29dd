"""What one run of a row has shown, and how runs are summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True)
class Sample:
    """`cpu`, `store`: processor seconds of the proxy and of the store for each request that the upstream had. `p50`, `p99`:
    seconds. `rate`: answers a second. `memory`: bytes."""

    cpu: float
    store: float
    rate: float
    p50: float
    p99: float
    memory: float


@dataclass(frozen=True)
class Range:
    """The median of some values, and between which they lay."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        values = list(values)
        return cls(median(values), min(values), max(values))

    def shown(self, digits: int = 0, factor: float = 1.0) -> str:
        middle, least, most = (f"{value * factor:,.{digits}f}" for value in (self.median, self.least, self.most))
        return f"{middle} [{least}–{most}]"


Rounds = Sequence[Mapping[str, Sample]]
"""For each round the samples of its rows, by name."""


def of_row(rounds: Rounds, row: str, value: Callable[[Sample], float]) -> Range | None:
    """A value of a row over the rounds. None where the row was not measured in each."""
    if not rounds or any(row not in samples for samples in rounds):
        return None
    return Range.of(value(samples[row]) for samples in rounds)


def ratio(rounds: Rounds, ours: str, theirs: str, value: Callable[[Sample], float]) -> Range | None:
    """A value of one row divided by that of another in the same round. None where either was not measured in each."""
    if not rounds or any(ours not in samples or theirs not in samples for samples in rounds):
        return None
    return Range.of(value(samples[ours]) / max(value(samples[theirs]), 1e-9) for samples in rounds)
