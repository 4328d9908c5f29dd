"""When to try again what has failed: soon at first, then less and less often, for about a day."""

from __future__ import annotations

from collections.abc import Callable
from random import random

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR)
"""Seconds after the first failure, the second one, …"""
LONGEST = 24 * _HOUR


def delay_after(failures: int, retry_after: float | None = None, chance: Callable[[], float] = random) -> float | None:
    """Seconds until the next attempt; None: there is none.

    Between a half and the whole of the delay, at random: what has failed together does not come back together. No sooner than
    `retry_after`, as far as that is a day at most. `chance` is between 0 and 1.
    """
    if failures > len(DELAYS):
        return None
    delay = DELAYS[failures - 1] * (1 + chance()) / 2
    return max(delay, min(retry_after or 0.0, LONGEST))
