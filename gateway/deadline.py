"""A deadline that moves often and is met seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls `missed` when it has passed. Moving it later costs no timer: the one that runs sets itself again."""

    __slots__ = ("_at", "_loop", "_missed", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, missed: Callable[[], None]) -> None:
        self._loop = loop
        self._missed = missed
        self._at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def set(self, seconds: float) -> None:
        """From now on."""
        self._at = at = self._loop.time() + seconds
        if self._timer is None:
            self._start(at)
        elif self._timer_at > at:
            self._timer.cancel()
            self._start(at)

    def lift(self) -> None:
        self._at = inf

    def close(self) -> None:
        self._at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, at: float) -> None:
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._loop.time() >= self._at:
            self._at = inf
            self._missed()
        elif self._at < inf:
            self._start(self._at)
