"""The metrics of several processes as those of one.

Counters and histograms are added up, and what a process that has ended had counted stays in the sum: no sum ever goes back.
Gauges are added up over the processes that live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from .metrics import TENANTS, TenantLabels

_Labels = tuple[tuple[str, str], ...]
# Of these the least is that of the whole: it has run since its first process began.
_EARLIEST = frozenset({"process_start_time_seconds"})


def dump(families: Iterable[Metric]) -> list[object]:
    """`families` as JSON can hold them."""
    return [
        [family.name, family.documentation, family.type, [[one.name, one.labels, one.value] for one in family.samples]]
        for family in families
    ]


def load(dumped: object) -> list[Metric]:
    """What `dump` made, as it was."""
    families = []
    for name, documentation, kind, samples in cast(
        Sequence[tuple[str, str, str, Sequence[tuple[str, dict[str, str], float]]]], dumped
    ):
        family = Metric(name, documentation, kind)
        for sample in samples:
            family.add_sample(*sample)
        families.append(family)
    return families


class Sums:
    """Remembers what has ended. `tenants`: so many have a label of their own in the sum, too."""

    def __init__(self, tenants: int = TENANTS) -> None:
        self._tenants = TenantLabels(tenants)
        self._ended = _Sum()

    def keep(self, families: Iterable[Metric]) -> None:
        """A process has ended that told these last."""
        self._ended.add((family for family in families if family.type != "gauge"), self._tenants)

    def exposition(self, accept: str, living: Iterable[Iterable[Metric]]) -> tuple[bytes, str]:
        """Body and content type of `/metrics`, as the scraper's `Accept` asks. `living`: the families of each process."""
        total = _Sum()
        for families in living:
            total.add(families, self._tenants)
        total.add(self._ended.collect(), self._tenants)
        registry = CollectorRegistry()
        registry.register(total)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type


class _Sum(Collector):
    def __init__(self) -> None:
        self._heads: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, _Labels], float]] = {}

    def add(self, families: Iterable[Metric], tenants: TenantLabels) -> None:
        for family in families:
            self._heads.setdefault(family.name, family)
            values = self._values.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, _folded(sample.labels, tenants)
                if sample.name in _EARLIEST:
                    values[key] = min(sample.value, values.get(key, sample.value))
                else:
                    values[key] = values.get(key, 0.0) + sample.value

    def collect(self) -> Iterator[Metric]:
        for name, head in self._heads.items():
            family = Metric(name, head.documentation, head.type)
            for (sample, labels), value in self._values[name].items():
                family.add_sample(sample, dict(labels), value)
            yield family


def _folded(labels: Mapping[str, str], tenants: TenantLabels) -> _Labels:
    return tuple((name, tenants.label(value) if name == "tenant" else value) for name, value in labels.items())
