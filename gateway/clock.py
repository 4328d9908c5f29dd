"""Time as a value that is handed in, so that tests move it and none of them sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Wall time: seconds since 1970 in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back and goes on while the machine sleeps; only differences mean anything."""


# A suspended laptop or VM must not stretch a lease, so time asleep counts where the system can tell it.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The functions of the system themselves: each request looks at the time a few times."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = partial(time.clock_gettime, _BOOTTIME)
