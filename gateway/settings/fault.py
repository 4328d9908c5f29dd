"""What is wrong with a configuration: where, what was found there, what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

KeyPath = tuple[str | int, ...]
"""Way from the root of gateway.yaml to a value: keys of mappings, indices of lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """`line` and `column` count from 1. An environment variable has neither: `file` is its name."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Fault:
    """`found` and `expected` are phrases, `hint` is a sentence or empty. None of them ever holds a secret."""

    place: Place
    found: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    @property
    def message(self) -> str:
        return f"found {self.found}, expected {self.expected}.{' ' if self.hint else ''}{self.hint}"


class Faults(Exception):
    """Everything that is wrong with a configuration, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(dict.fromkeys(faults), key=_order))
        super().__init__("\n".join(map(str, self.faults)))


def _order(fault: Fault) -> tuple[bool, str, int, int]:
    place = fault.place
    return (place.line is None, "" if place.line else place.file, place.line or 0, place.column or 0)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint, where one of `candidates` is close to `word` in whatever case; else empty."""
    spelt = {candidate.lower(): candidate for candidate in candidates}
    close = get_close_matches(word.lower(), spelt, n=1)
    return f"Did you mean {spelt[close[0]]}?" if close else ""


def one_of(words: Iterable[str]) -> str:
    """`one of a, b, c`, in their order."""
    listed = list(words)
    return f"one of {', '.join(listed)}" if len(listed) > 1 else (listed[0] if listed else "none, since none is declared")
