"""Which target of an upstream a request goes to."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.clock import Clock

from .target import Target


class Balance:
    """The target with the fewest exchanges, in turn where they are even; one that could not be reached a moment ago is passed
    over as long as there is another."""

    def __init__(self, targets: Sequence[Target], clock: Clock) -> None:
        self.targets = tuple(targets)
        self._clock = clock
        self._turn = 0

    def choose(self, tried: Sequence[Target] = ()) -> Target:
        """A target that is not among `tried`, unless all are."""
        if len(self.targets) == 1:
            return self.targets[0]
        now = self._clock.monotonic()
        self._turn = (self._turn + 1) % len(self.targets)
        in_turn = self.targets[self._turn :] + self.targets[: self._turn]
        return min(in_turn, key=lambda target: (target in tried, target.is_down(now), target.outstanding))

    def has_other(self, tried: Sequence[Target]) -> bool:
        return any(target not in tried for target in self.targets)
