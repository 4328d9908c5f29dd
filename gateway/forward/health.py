"""Which targets of an upstream are fit for use: state machines that are told what happened and when, and do nothing else."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from gateway.settings.upstreams import Health

State = Literal["up", "ejected", "down"]
"""`ejected`: left out for its failures, for a time. `down`: it fails its checks."""

_REST = 1.0
"""Seconds that a target which could not be reached is passed over where another one can be had."""


class TargetHealth:
    """The health of one target. `now` is always in seconds by the monotonic clock; `may_be_ejected` is asked with it before
    the target is left out for its failures."""

    __slots__ = ("_checks", "_ejected_until", "_may_be_ejected", "_passes", "_requests", "_rests_until", "_row", "_span",
                 "ejections", "failures")  # fmt: skip

    def __init__(self, rules: Health, may_be_ejected: Callable[[float], bool]) -> None:
        self.failures = 0
        """Of requests, in a row."""
        self.ejections = 0
        """How often it has been left out for its failures."""
        self._requests, self._checks = rules.passive, rules.active
        self._may_be_ejected = may_be_ejected
        self._ejected_until = -inf
        self._rests_until = -inf
        self._span = 0.0
        self._passes = True
        self._row = 0  # checks in a row that gainsay `_passes`

    def is_fit(self, now: float) -> bool:
        return self._passes and now >= self._ejected_until and now >= self._rests_until

    def state(self, now: float) -> State:
        if not self._passes:
            return "down"
        return "ejected" if now < self._ejected_until else "up"

    # What requests tell

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, now: float) -> float:
        """For how many seconds the target is left out from now on for it; 0.0 where this changes nothing.

        A success alone ends the row: a target that comes back and fails again is out again at once, for twice the time.
        """
        rules = self._requests
        self.failures += 1
        if not 0 < rules.failures <= self.failures or now < self._ejected_until or not self._may_be_ejected(now):
            return 0.0
        is_soon = now - self._ejected_until < rules.longest
        self._span = min(2 * self._span if is_soon else rules.eject, rules.longest)
        self._ejected_until = now + self._span
        self.ejections += 1
        return self._span

    def reached(self) -> None:
        """A connection stands."""
        self._rests_until = -inf

    def unreachable(self, now: float) -> float:
        """No connection could be made. As `failed`."""
        self._rests_until = now + _REST
        return self.failed(now)

    # What checks tell

    def checked(self, passed: bool) -> bool:
        """Whether that takes the target out, or brings it back."""
        if passed is self._passes:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._checks.healthy if passed else self._checks.unhealthy):
            return False
        self._passes, self._row = passed, 0
        return True


class UpstreamHealth:
    """The health of all targets of an upstream, of which only a share may be left out for failures of requests: what fails
    everywhere is seldom the fault of one target."""

    def __init__(self, rules: Health, count: int) -> None:
        self.targets = tuple(TargetHealth(rules, self._may_eject) for _ in range(count))
        self._most = count * rules.passive.max_ejected // 100 if count > 1 else 0

    def _may_eject(self, now: float) -> bool:
        return sum(target.state(now) != "up" for target in self.targets) < self._most
