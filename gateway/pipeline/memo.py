"""What follows from values that stay the same from request to request, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class IdentityMemo(Generic[R]):
    """What was computed of records, principals and the like, by which objects they are: to compare them would cost as much as
    to compute. Of two equal objects each has its own entry; the `size` newest are kept, with their subjects.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        # The subjects are held too: as long as they live, nothing else has their id.
        self._held: dict[tuple[int, ...], tuple[object, R]] = {}

    def __call__(self, compute: Callable[[], R], *subjects: object) -> R:
        """What `compute` gave for these subjects, or gives. What it raises is not remembered."""
        key = tuple(map(id, subjects))
        held = self._held.get(key)
        if held is None:
            result = compute()
            if len(self._held) >= self._size:
                del self._held[next(iter(self._held))]
            held = self._held[key] = (subjects, result)
        return held[1]
