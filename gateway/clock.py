"""Time as a value that is handed in, so that tests move it and none of them sleeps."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Wall time: seconds since 1970 in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back and goes on while the machine sleeps; only differences mean anything."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.clock_gettime(_BOOTTIME)


# A suspended laptop or VM must not stretch a lease, so time asleep counts where the system can tell it.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
