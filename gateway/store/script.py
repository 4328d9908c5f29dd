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
    def load(cls, package: str, name: str, before: str | None = None) -> Script:
        """Read `lua/<name>.lua` of `package`, with `lua/<before>.lua` in front of it."""
        parts = [part for part in (before, name) if part is not None]
        text = "\n".join(files(package).joinpath("lua", f"{part}.lua").read_text(encoding="utf-8") for part in parts)
        # SHA-1 is how the store names scripts; nothing rests on its strength.
        return cls(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
