"""Line plots in SVG: one picture for one thing that grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 50, 50
_COLORS = ("#1f6feb", "#c2410c", "#15803d", "#7c3aed")


@dataclass(frozen=True)
class Plot:
    """`series` by name, each in the order of x. `log_x`: every step to the right is a factor, and x is above 0."""

    title: str
    x: str
    y: str
    series: Mapping[str, Points]
    log_x: bool = False

    def svg(self) -> str:
        points = [point for series in self.series.values() for point in series]
        ticks = linear_ticks(max(y for _, y in points))
        xs = sorted({x for x, _ in points})
        body = [_text(_LEFT, 24, self.title, size=15), _text(_LEFT, 42, self.y), *self._grid(ticks, xs)]
        for color, (name, series) in zip(_COLORS, self.series.items(), strict=False):
            placed = [(self._x(x, xs), _y(y, ticks)) for x, y in series]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            body.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
            body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in placed]
            body.append(_text(placed[-1][0] + 8, placed[-1][1] + 4, name, color=color))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
        return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>', *body, "</svg>"]) + "\n"

    def _grid(self, ticks: Sequence[float], xs: Sequence[float]) -> list[str]:
        lines, end = [], _WIDTH - _RIGHT
        for tick in ticks:
            at = _y(tick, ticks)
            lines.append(f'<line x1="{_LEFT}" x2="{end}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
            lines.append(_text(_LEFT - 8, at + 4, f"{tick:g}", anchor="end"))
        last = -math.inf
        for x in xs:
            # Names that would lie on each other are left out, their points are not.
            if self._x(x, xs) - last >= 45:
                last = self._x(x, xs)
                lines.append(_text(last, _HEIGHT - _BOTTOM + 18, f"{x:,.0f}", anchor="middle"))
        return [*lines, _text((_LEFT + end) / 2, _HEIGHT - 10, self.x, anchor="middle")]

    def _x(self, x: float, xs: Sequence[float]) -> float:
        scale = math.log if self.log_x else float
        low, high = scale(xs[0]), scale(xs[-1])
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((scale(x) - low) / (high - low) if high > low else 0.5)


def _y(y: float, ticks: Sequence[float]) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y / ticks[-1]


def linear_ticks(highest: float) -> list[float]:
    """From 0 to at least `highest`, in four to eight steps of 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return [0.0, 1.0]
    power = 10 ** math.floor(math.log10(highest / 4))
    step = next(size * power for size in (1, 2, 5, 10) if highest / (size * power) <= 7)
    return [step * number for number in range(math.ceil(highest / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "start", color: str = "#333", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" font-size="{size}">{escape(text)}</text>'
