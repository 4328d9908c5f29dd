"""Bar plots in SVG: one value of several things, and how far it lay apart between runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .plot import linear_ticks

_WIDTH, _LEFT, _RIGHT, _TOP, _STEP, _BAR = 720, 190, 90, 60, 30, 18
_COLOR, _MARKED = "#94a3b8", "#1f6feb"


@dataclass(frozen=True)
class Bar:
    """`least` and `most` are drawn as a line across the end of the bar. A `marked` bar stands out."""

    name: str
    value: float
    least: float
    most: float
    marked: bool = False


@dataclass(frozen=True)
class Bars:
    """On a scale on which every step to the right is a factor, since values may differ by hundreds; they are above 0. `linear`:
    on one that begins at 0, for parts of a whole."""

    title: str
    unit: str
    bars: Sequence[Bar]
    linear: bool = False

    def svg(self) -> str:
        height = _TOP + _STEP * len(self.bars) + 20
        ticks = self._ticks()
        high = max(*(bar.most for bar in self.bars), ticks[1])

        def x(value: float) -> float:
            share = value / high if self.linear else math.log(value / ticks[0]) / math.log(high / ticks[0])
            return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

        lines = [_text(12, 24, self.title, size=15), _text(12, 42, self.unit if self.linear else f"{self.unit}, logarithmic")]
        for tick in (tick for tick in ticks if tick <= high):
            lines.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_TOP - 4}" y2="{height - 14}" stroke="#ddd"/>')
            lines.append(_text(x(tick), height - 2, f"{tick:g}", anchor="middle"))
        for number, bar in enumerate(self.bars):
            top = _TOP + number * _STEP
            middle, end = top + _BAR / 2, x(bar.value)
            color = _MARKED if bar.marked else _COLOR
            lines += [
                _text(_LEFT - 10, middle + 4, bar.name, anchor="end"),
                f'<rect x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{color}"/>',
                f'<line x1="{x(bar.least):.1f}" x2="{x(bar.most):.1f}" y1="{middle}" y2="{middle}" stroke="#111"/>',
                _text(x(bar.most) + 8, middle + 4, f"{bar.value:,.0f}"),
            ]
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
        return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" fill="white"/>', *lines, "</svg>"]) + "\n"

    def _ticks(self) -> list[float]:
        """From below the least value, or from 0, to above the highest."""
        highest = max(bar.most for bar in self.bars)
        if self.linear:
            return linear_ticks(highest)
        low = math.floor(math.log10(min(bar.least for bar in self.bars)))
        return [10.0**power for power in range(low, max(math.ceil(math.log10(highest)), low + 1) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333" font-size="{size}">{escape(text)}</text>'
