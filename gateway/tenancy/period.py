"""The period of a quota: a calendar month in UTC, written `2026-04`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

PERIOD = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")


def period_of(instant: float) -> str:
    """The period that `instant` (seconds since 1970) falls into."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m")


def period_end(period: str) -> float:
    """The first instant after `period`, in seconds since 1970."""
    if not PERIOD.fullmatch(period):
        raise ValueError(f"not a period: {period!r}")
    year, month = int(period[:4]), int(period[5:])
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return datetime(*following, 1, tzinfo=UTC).timestamp()
