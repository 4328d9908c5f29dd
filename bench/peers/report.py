"""What a run has shown: as a page in Markdown, as a plot, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.figures.bars import Bar, Bars
from bench.figures.table import table

from .neighbour import LIMIT, TIMES, Disturbed, Noticed
from .rounds import Measured
from .sample import Range, Sample, of_row
from .targets import Compared, others, processor

Json = dict[str, object]

_COLUMNS: Sequence[tuple[str, Callable[[Sample], float], int, float]] = (
    ("CPU µs", lambda sample: sample.cpu, 0, 1e6),
    ("store µs", lambda sample: sample.store, 0, 1e6),
    ("per s", lambda sample: sample.rate, 0, 1.0),
    ("p50 ms", lambda sample: sample.p50, 2, 1e3),
    ("p99 ms", lambda sample: sample.p99, 1, 1e3),
    ("MiB", lambda sample: sample.memory, 0, 1 / (1 << 20)),
)
_OURS = "tenantgate"


@dataclass(frozen=True)
class Result:
    """`tables` by name, in the order in which they were measured; `machine` says on what."""

    machine: str
    tables: Mapping[str, Measured]
    neighbour: Disturbed
    skipped: Mapping[str, str]

    @property
    def compared(self) -> list[Compared]:
        main = self.tables.get("main")
        return (processor(main.rounds) if main else []) + others(self.tables, self.neighbour.noticed)

    def page(self) -> str:
        """Markdown."""
        parts = [self.machine]
        parts += [f"Skipped: {name}, {reason}." for name, reason in self.skipped.items()]
        for measured in self.tables.values():
            parts += _table(measured)
        if self.neighbour.noticed:
            parts += _neighbour(self.neighbour.noticed)
        if self.neighbour.failed:
            parts.append(f"Not timed: neighbour: {self.neighbour.failed}.")
        parts += ["### Targets", _targets(self.compared)] if self.compared else []
        return "\n\n".join(parts) + "\n"

    def json(self) -> Json:
        """Seconds and bytes. `ratios` are medians of our processor time divided by theirs."""
        main = self.tables.get("main")
        reached = {one.name: one.reached for one in processor(main.rounds) if one.reached} if main else {}
        return {
            "ratios": {name: given.median for name, given in reached.items()},
            "ranges": {name: [given.least, given.most] for name, given in reached.items()},
            "targets": [
                {"name": one.name, **asdict(one.target), "reached": asdict(one.reached) if one.reached else None}
                for one in self.compared
            ],
            "tables": {
                name: {
                    "rounds": [{row: asdict(sample) for row, sample in samples.items()} for samples in measured.rounds],
                    "conditions": [asdict(conditions) for conditions in measured.conditions],
                    "failed": measured.failed,
                }
                for name, measured in self.tables.items()
            },
            "neighbour": asdict(self.neighbour),
            "skipped": self.skipped,
            "machine": self.machine,
        }

    def plot(self) -> Bars | None:
        """Processor time of the main table, the least first."""
        main = self.tables.get("main")
        given = _values(main, lambda sample: sample.cpu) if main else {}
        bars = [
            Bar(row, value.median * 1e6, value.least * 1e6, value.most * 1e6, row.startswith(_OURS))
            for row, value in given.items()
        ]
        title = "Processor time of the proxy for each answer, 64 connections, 1 KiB"
        return Bars(title, "µs", sorted(bars, key=lambda bar: bar.value)) if bars else None


def _values(measured: Measured, value: Callable[[Sample], float]) -> dict[str, Range]:
    found = {row.name: of_row(measured.rounds, row.name, value) for row in measured.table.rows}
    return {name: given for name, given in found.items() if given is not None and given.least > 0}


def _table(measured: Measured) -> list[str]:
    rows = []
    for row in measured.table.rows:
        cells = [of_row(measured.rounds, row.name, value) for _, value, _, _ in _COLUMNS]
        if all(cell is not None for cell in cells):
            shown = [cell.shown(digits, factor) for cell, (_, _, digits, factor) in zip(cells, _COLUMNS, strict=True) if cell]
            rows.append([row.name, *shown])
    parts = [f"### {measured.table.name}: {measured.table.title}", table(["", *(name for name, *_ in _COLUMNS)], rows)]
    parts += [f"Not timed: {name}: {reason}." for name, reason in measured.failed.items()]
    return [*parts, _conditions(measured)]


def _conditions(measured: Measured) -> str:
    steal = Range.of(one.steal for one in measured.conditions).shown(1, 100)
    loop = Range.of(one.loop for one in measured.conditions).shown(1, 1e3)
    return f"{len(measured.rounds)} rounds; steal {steal} %; calibration loop {loop} ms."


def _neighbour(noticed: Sequence[Noticed]) -> list[str]:
    values: Sequence[tuple[str, Callable[[Noticed], float], int, float]] = (
        ("p99 ms alone", lambda one: one.alone, 1, 1e3),
        ("p99 ms beside", lambda one: one.beside, 1, 1e3),
        ("beside ÷ alone", lambda one: one.beside / max(one.alone, 1e-6), 2, 1.0),
        ("the other asks a second", lambda one: one.asked, 0, 1.0),
        ("and gets", lambda one: one.admitted, 0, 1.0),
    )
    row = [Range.of(map(value, noticed)).shown(digits, factor) for _, value, digits, factor in values]
    return [
        f"### neighbour: a quiet tenant beside one that asks {TIMES} times its limit of {LIMIT} a second",
        table(["", *(name for name, *_ in values)], [["tenantgate", *row]]),
    ]


def _targets(compared: Sequence[Compared]) -> str:
    rows = [
        [
            one.name,
            one.reached.shown(3) if one.reached else "not measured",
            *("" if bound is None else f"≤ {bound:.3g}" for bound in (one.target.must, one.target.aim)),
            one.target.verdict(one.reached.median) if one.reached else "",
        ]
        for one in compared
    ]
    return table(["ours ÷ theirs", "reached", "must", "aim", ""], rows)
