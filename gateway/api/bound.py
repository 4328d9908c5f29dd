"""How much of something there may be, and is."""

from __future__ import annotations

from .shape import Shape


class BoundShown(Shape):
    cap: int | None
    """null: unlimited."""
    used: int
    remaining: int | None
    """0 where the cap was lowered below what is used."""


def bound(cap: int | None, used: int) -> dict[str, int | None]:
    return {"cap": cap, "used": used, "remaining": None if cap is None else max(0, cap - used)}
