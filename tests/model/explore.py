"""Every order of a few events, breadth first: the shortest way to a state that breaks something is found first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Found(NamedTuple):
    """How many states there are, what broke ("" where nothing does), and the shortest way there."""

    states: int
    broken: str
    way: list[str]


def explore(start: S, steps: Callable[[S], Iterator[tuple[str, S]]], broken: Callable[[S], str]) -> Found:
    """Walk from `start` through all that can happen, up to the first state of which `broken` says what it breaks."""
    before: dict[S, tuple[S, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for name, after in steps(state):
            if after in before:
                continue
            before[after] = (state, name)
            if what := broken(after):
                return Found(len(before), what, _way(before, after))
            waiting.append(after)
    return Found(len(before), "", [])


def _way(before: dict[S, tuple[S, str] | None], state: S) -> list[str]:
    way = []
    while (step := before[state]) is not None:
        state, name = step
        way.append(name)
    return way[::-1]
