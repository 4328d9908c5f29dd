"""Counters and histograms whose counting costs next to nothing: plain numbers, which become families of Prometheus when
somebody asks. Every request counts several times; nobody scrapes as often."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Counter(Collector):
    """`name` ends in `_total`."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._cells: defaultdict[Labels, list[float]] = defaultdict(lambda: [0.0])

    def cell(self, labels: Labels) -> list[float]:
        """Where it is counted, for those who count the same often: `cell[0] += 1`. It is told of from now on."""
        return self._cells[labels]

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        self._cells[labels][0] += amount

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, cell in list(self._cells.items()):
            family.add_metric(labels, cell[0])
        yield family


class Buckets:
    """Values of a histogram with the same labels."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram(Collector):
    """`bounds` are the upper ends of the buckets, rising; one without an end follows."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._ends = (*map(floatToGoString, bounds), "+Inf")
        bounds = tuple(bounds)
        self._cells: defaultdict[Labels, Buckets] = defaultdict(lambda: Buckets(bounds))

    def cell(self, labels: Labels) -> Buckets:
        """Where it is observed, for those who observe the same often. It is told of from now on."""
        return self._cells[labels]

    def observe(self, labels: Labels, value: float) -> None:
        self._cells[labels].observe(value)

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, cell in list(self._cells.items()):
            buckets = list(zip(self._ends, accumulate(cell.counts), strict=True))
            family.add_metric(labels, buckets, cell.total)
        yield family
