"""Files that may hold keys."""

from __future__ import annotations

from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and for the owner only."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text + "\n")
    part.replace(path)
