"""What was found: as Markdown, and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures.bars import Bar, Bars
from bench.figures.table import table

from .apart import Apart
from .batches import Measured
from .shares import Share
from .stages import STAGES, Way

START, END = "<!-- generated: profile -->\n", "<!-- end -->"


@dataclass(frozen=True)
class Hot:
    """One kind of hot request: by its credential, and by the way that it takes."""

    name: str
    way: Way
    measured: Measured
    shares: Sequence[Share]

    @property
    def parts(self) -> Sequence[Share]:
        """Of the stages on its way; what others take of it, once in many requests, is part of the sum only."""
        return [share for stage, share in zip(STAGES, self.shares, strict=True) if self.way in stage.ways]

    def row(self) -> list[str]:
        measured, shares = self.measured, self.shares
        calls, builtin = (sum(counts) for counts in ([one.calls for one in shares], [one.builtin for one in shares]))
        times = (measured.least, measured.median, min(measured.loops))
        return [self.name, *map(_micros, times), f"{calls:.0f}", f"{builtin:.0f}", f"{len(measured.plain):,}"]


@dataclass(frozen=True)
class Page:
    """`machine` says where it was measured."""

    machine: str
    hot: Sequence[Hot]
    apart: Sequence[Apart]

    def text(self) -> str:
        """Markdown."""
        totals = table(
            ("a hot request", "least µs", "median µs", "loop µs", "calls in Python", "in C", "batches"),
            [hot.row() for hot in self.hot],
        )
        stages = [self._stages(way) for way in Way]
        return "\n\n".join([self.machine, totals, *stages, self._apart()]) + "\n"

    def plot(self) -> Bars:
        hot = self.hot[0]
        bars = [_bar(share) for share in hot.parts]
        return Bars(f"Processor time of a hot request, {hot.name}, {hot.way.value}, by stage", "µs", bars, linear=True)

    def _stages(self, way: Way) -> str:
        kinds = [hot for hot in self.hot if hot.way is way]
        heads = [f"stage, {way.value}", *(what for hot in kinds for what in (f"{hot.name} µs", "calls", "in C"))]
        rows = [
            [same[0].stage, *(cell for share in same for cell in _cells(share.seconds, share.calls, share.builtin))]
            for same in zip(*(hot.parts for hot in kinds), strict=True)
        ]
        sums = [
            cell
            for hot in kinds
            for cell in _cells(
                sum(one.seconds for one in hot.shares),
                sum(one.calls for one in hot.shares),
                sum(one.builtin for one in hot.shares),
            )
        ]
        return table(heads, [*rows, ["sum", *sums]])

    def _apart(self) -> str:
        rows = [
            [one.name, _micros(one.seconds)]
            + (["", ""] if one.bare is None else [_micros(one.bare), _micros(one.seconds - one.bare)])
            for one in self.apart
        ]
        return table(("off the hot path", "µs", "of it cryptography", "beyond"), rows)


def rewritten(page: str, text: str) -> str:
    """`page` with `text` between the marks. Raises ValueError where it has none."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the page has no place for the profile")
    return f"{before}{start}{text}{end}{after}"


def _bar(share: Share) -> Bar:
    micros = share.seconds * 1e6
    return Bar(share.stage, micros, micros, micros)


def _cells(seconds: float, calls: float, builtin: float) -> list[str]:
    return [_micros(seconds), f"{calls:.0f}", f"{builtin:.0f}"]


def _micros(seconds: float) -> str:
    return f"{seconds * 1e6:.1f}"
