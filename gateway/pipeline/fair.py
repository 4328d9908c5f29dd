"""What is remembered for many owners within bounds that none of them can use up for the others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class FairCache(Generic[K, V]):
    """At most `own` values of one owner, and `size` in all. Whoever has too many loses its own, the oldest first; where there
    are too many in all, the owner loses one that has added nothing for the longest time."""

    def __init__(self, own: int, size: int) -> None:
        self._own, self._size = own, size
        self._found: dict[K, V] = {}
        self._owner_of: dict[K, Hashable] = {}
        self._owners: OrderedDict[Hashable, OrderedDict[K, None]] = OrderedDict()
        self.get = self._found.get

    def __len__(self) -> int:
        return len(self._found)

    def put(self, owner: Hashable, key: K, value: V) -> None:
        self.forget(key)
        self._found[key], self._owner_of[key] = value, owner
        owned = self._owners.setdefault(owner, OrderedDict())
        owned[key] = None
        self._owners.move_to_end(owner)
        if len(owned) > self._own:
            self.forget(next(iter(owned)))
        elif len(self._found) > self._size:
            self.forget(next(iter(next(iter(self._owners.values())))))

    def forget(self, key: K) -> None:
        if self._found.pop(key, None) is None:
            return
        owner = self._owner_of.pop(key)
        owned = self._owners[owner]
        del owned[key]
        if not owned:
            del self._owners[owner]
