"""Instants in bodies: RFC 3339 on the wire, seconds since 1970 within."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_FORM = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_START, _END = 0.0, 253_402_300_799.0
"""1970, and the end of the year 9999."""


def _instant(text: object) -> object:
    if isinstance(text, str) and _FORM.fullmatch(text):
        try:
            instant = datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp()
        except (ValueError, OverflowError):
            instant = -1.0
        if _START <= instant <= _END:
            return instant
    elif text is None:
        return None
    raise ValueError("must be an instant such as 2026-06-21T11:00:00Z, with its offset from UTC")


Instant = Annotated[
    float,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-06-21T11:00:00Z"]}),
]
"""Seconds since 1970."""
