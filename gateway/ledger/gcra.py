"""The generic cell rate algorithm (ITU-T I.371, annex A), in whole numbers.

Times are whole microseconds and a rest in units of 1/count of a microsecond. So `100/second` and `7/second` are both exact, and
every number fits the 53 bits that the store's scripts compute with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from gateway.tenancy.plan import RateLimit

_MICROSECONDS = 1_000_000
# A bucket that needs longer than ten years to fill is as good as one that needs ten.
_TOLERANCE_MAX = 10 * 366 * 86400 * _MICROSECONDS


@dataclass(frozen=True, slots=True)
class Gcra:
    """`interval` between two cells, `tolerance` that the arrival time may be ahead: each with its rest. A count of 0 blocks."""

    window: int
    count: int
    interval: int
    interval_rest: int
    tolerance: int
    tolerance_rest: int

    @classmethod
    def of(cls, limit: RateLimit) -> Self:
        """A burst of 0 is one of 1: a limit with a count lets a request through that comes alone."""
        window, count = limit.window * _MICROSECONDS, limit.count
        if count == 0:
            return cls(window, 0, 0, 0, 0, 0)
        tolerance, rest = divmod(max(1, limit.burst) * window, count)
        if tolerance > _TOLERANCE_MAX:
            tolerance, rest = _TOLERANCE_MAX, 0
        return cls(window, count, *divmod(window, count), tolerance, rest)

    def remaining(self, ahead: int, rest: int) -> int:
        """Cells that are admitted at once, where the arrival time is so far ahead of now."""
        if self.count == 0:
            return 0
        free = (self.tolerance - ahead) * self.count + self.tolerance_rest - rest
        return max(0, free // self.window)

    def wait(self, ahead: int, rest: int) -> float:
        """Seconds until the next cell is admitted; of a limit that blocks: its window."""
        if self.count == 0:
            return self.window / _MICROSECONDS
        over = (ahead + self.interval - self.tolerance) * self.count + rest + self.interval_rest - self.tolerance_rest
        return max(0.0, over / self.count / _MICROSECONDS)


gcra_of = lru_cache(4096)(Gcra.of)


def full_in(ahead: int, rest: int) -> float:
    """Seconds until the bucket is full again."""
    return (ahead + (1 if rest else 0)) / _MICROSECONDS
