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
        self._counts: defaultdict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        self._counts[labels] += amount

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, count in list(self._counts.items()):
            family.add_metric(labels, count)
        yield family


class Histogram(Collector):
    """`bounds` are the upper ends of the buckets, rising; one without an end follows."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._bounds = tuple(bounds)
        self._ends = (*map(floatToGoString, bounds), "+Inf")
        self._counts: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * len(self._ends))
        self._sums: defaultdict[Labels, float] = defaultdict(float)

    def observe(self, labels: Labels, value: float) -> None:
        self._counts[labels][bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, counts in list(self._counts.items()):
            buckets = list(zip(self._ends, accumulate(counts), strict=True))
            family.add_metric(labels, buckets, self._sums[labels])
        yield family
