"""What follows from values that stay the same from request to request, worked out once and remembered within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

R = TypeVar("R")

_NAMES, _LONGEST_NAME = 4096, 64


class IdentityMemo(Generic[R]):
    """What was computed of records, principals and the like, by which objects they are: to compare them would cost as much as
    to compute. Of two equal objects each has its own entry; the `size` newest are kept, with their subjects.
    """

    def __init__(self, size: int = 4096) -> None:
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


class Verdicts(dict[bytes, bool]):
    """What `judge` says of the names of headers. They come from outside, so what is remembered of them is bounded."""

    def __init__(self, judge: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, name: bytes) -> bool:
        verdict = self._judge(name)
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _NAMES:
                self.clear()
            self[name] = verdict
        return verdict
