"""Which target of an upstream a request goes to."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Literal

from gateway.clock import Clock

from .target import Target

Order = Literal["least_outstanding", "round_robin"]

_outstanding = attrgetter("outstanding")


class Balance:
    """The target with the fewest exchanges, in turn where they are even; or simply the next in turn. One that is not fit is
    passed over as long as there is another. `sole`: the only one there is, which need not be chosen; else None."""

    def __init__(self, targets: Sequence[Target], order: Order, clock: Clock) -> None:
        self.targets = tuple(targets)
        self.sole = targets[0] if len(targets) == 1 else None
        self._is_by_turn = order == "round_robin"
        self._clock = clock
        self._turn = 0

    def choose(self, tried: Sequence[Target] = ()) -> Target:
        """A target that is not among `tried`, unless all are."""
        if self.sole is not None:
            return self.sole
        now = self._clock.monotonic()
        targets = [target for target in self.targets if target not in tried] or self.targets if tried else self.targets
        fit = [target for target in targets if target.health.is_fit(now)] or targets
        self._turn += 1
        first = self._turn % len(fit)
        return fit[first] if self._is_by_turn else min((*fit[first:], *fit[:first]), key=_outstanding)

    def has_other(self, tried: Sequence[Target]) -> bool:
        return any(target not in tried for target in self.targets)
