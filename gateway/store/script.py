"""Lua scripts: loaded from their files once, called by their digest."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    text: str
    sha: str

    @classmethod
    def load(cls, package: str, name: str) -> Script:
        """Read `lua/<name>.lua` of `package`."""
        text = files(package).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        # SHA-1 is how the store names scripts; nothing rests on its strength.
        return cls(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
