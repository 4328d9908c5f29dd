"""The keys that one call to the store names: all of one group, so that they may be named together."""

from __future__ import annotations

from gateway.store.keyspace import Keyspace


class Keys:
    """KEYS of a script, each key once."""

    def __init__(self, keyspace: Keyspace, group: str) -> None:
        self._keyspace = keyspace
        self._parted = keyspace.sharded
        self._group = group
        self._places: dict[str, int] = {}

    def index(self, key: str) -> int:
        """Its place, from 1. 0: it is of another group, and what is said of it here the script has to leave out."""
        if self._parted and self._keyspace.group(key) != self._group:
            return 0
        return self._places.setdefault(key, len(self._places) + 1)

    @property
    def named(self) -> list[str]:
        return list(self._places)
