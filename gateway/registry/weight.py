"""How much memory a record takes, about: a number of records bounds nothing where some are large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from sys import getsizeof


def weight(value: object) -> int:
    """In bytes, with all that it holds; what is held twice counts twice."""
    return getsizeof(value) + sum(map(weight, _parts(value)))


def _parts(value: object) -> Iterable[object]:
    if value is None or isinstance(value, str | bytes | int | float):
        return ()
    if isinstance(value, tuple | frozenset):
        return value
    if isinstance(value, Mapping):
        return chain(value.keys(), value.values())
    # Of a dataclass; `fields` would make a list of them each time.
    return (getattr(value, name) for name in getattr(value, "__dataclass_fields__", ()))
