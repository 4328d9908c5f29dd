"""This worker's own limits, while the store can't be reached, and what a request holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .gcra import Gcra


@dataclass(slots=True)
class Cells:
    """A rate: the theoretical arrival time in microseconds and its rest, as in buckets.lua."""

    arrival: int = 0
    rest: int = 0

    def take(self, gcra: Gcra, now: int) -> bool:
        """One cell, if it conforms."""
        if gcra.count == 0:
            return False
        arrival, rest = self.ahead(now)
        carried, rest = divmod(rest + gcra.interval_rest, gcra.count)
        arrival += gcra.interval + carried
        if (arrival, rest) > (gcra.tolerance, gcra.tolerance_rest):
            return False
        self.arrival, self.rest = now + arrival, rest
        return True

    def ahead(self, now: int) -> tuple[int, int]:
        return (self.arrival - now, self.rest) if self.arrival >= now else (0, 0)


@dataclass(slots=True)
class Units:
    """`left` of a quota; None: it is not bounded."""

    left: int | None

    def fits(self, units: int, cap: int | None) -> bool:
        return self.left is None or (cap != 0 and units <= self.left)

    def give(self, units: int) -> None:
        """They come back; negative: they are used."""
        if self.left is not None:
            self.left += units


@dataclass(slots=True)
class Places:
    held: int = 0


@dataclass(slots=True)
class Hold:
    """`quotas` has, for each quota of the request, how many units of what. `cells` are as they were before."""

    quotas: list[tuple[int, tuple[Units, ...]]] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    cells: list[tuple[Cells, int, int]] = field(default_factory=list)

    def undo(self) -> None:
        """As if the request had never come."""
        for cells, arrival, rest in reversed(self.cells):
            cells.arrival, cells.rest = arrival, rest
        self.end([0] * len(self.quotas))

    def end(self, used: Sequence[int]) -> None:
        """The request has ended, and has used so many units of each quota."""
        for places in self.places:
            places.held -= 1
        for (held, of), amount in zip(self.quotas, used, strict=True):
            for units in of:
                units.give(held - amount)
