"""A configuration as plain data, with the place of every value, and what was found wrong with it so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .fault import Fault, KeyPath, Place, did_you_mean, one_of
from .shape import is_secret, is_secret_itself

_LONGEST_SHOWN = 60
# Where URLs carry passwords: before the host, and in the query.
_URL_SECRETS = re.compile(r"(?<=//)\S*(?=@)|(?<=\?)\S+")


@dataclass
class Document:
    """`origins` tells of values that did not stand in the file where they came from; they are never shown.

    `broken` are the values that are known to be wrong: whatever else is found wrong with them follows from that.
    """

    data: object
    root: Place
    places: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)

    def refuse(self, path: KeyPath, found: str, expected: str, hint: str = "", *, at_key: bool = False) -> None:
        if not self._is_broken(path):
            self.faults.append(Fault(self.place(path, at_key=at_key), found, expected, hint))

    def refuse_reference(self, path: KeyPath, kind: str, name: str, candidates: list[str], *, at_key: bool = False) -> None:
        """`name` should be among `candidates`, and is not."""
        found = f"the unknown {kind} {describe(name) if at_key else self.show(path, name)}"
        self.refuse(path, found, one_of(candidates), did_you_mean(name, candidates), at_key=at_key)

    def place(self, path: KeyPath, *, at_key: bool = False) -> Place:
        """Where the value at `path` stands, or else the nearest thing around it. An entry of a mapping stands at its key where
        there is no scalar that could be pointed at."""
        for end in range(len(path), 0, -1):
            near = path[:end]
            if near in self.keys and (at_key or isinstance(self.at(near), dict | list) or end < len(path)):
                return self.keys[near]
            if near in self.places:
                return self.places[near]
        return self.root

    def at(self, path: KeyPath) -> object:
        """The value at `path`; None where there is none."""
        value = self.data
        for key in path:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def origin(self, path: KeyPath) -> str | None:
        """What the value at `path` came from, where it was not the file itself."""
        return next((self.origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.origins), None)

    def is_hidden(self, path: KeyPath) -> bool:
        return self.origin(path) is not None or is_secret(path)

    def show(self, path: KeyPath, value: object) -> str:
        """`value`, which stands at `path`, for a fault. Secrets, and what came from elsewhere, are only named."""
        origin = self.origin(path)
        if isinstance(value, dict | list):
            return "a mapping" if isinstance(value, dict) else "a list"
        if value is None:
            return "nothing"
        if origin is not None:
            return f"the value of {origin}"
        if is_secret(path):
            return "a secret"
        return describe(value)

    def show_key(self, path: KeyPath) -> str:
        """The last key of `path`. Not where its value is a secret, since the two may have been written the wrong way round, and
        not where it came from elsewhere."""
        return "(not shown)" if is_secret_itself(path) or self.origin(path[:-1]) else f'"{path[-1]}"'

    def _is_broken(self, path: KeyPath) -> bool:
        return any(path[:end] in self.broken for end in range(len(path) + 1))


def describe(value: object) -> str:
    """A scalar as it would be written in the file, shortened, and without the password of a URL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _URL_SECRETS.sub("…", str(value))
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return f'"{text}"' if isinstance(value, str) else text
