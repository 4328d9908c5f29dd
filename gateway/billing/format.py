"""The forms in which use is told."""

from __future__ import annotations

import json
from enum import StrEnum

from .cloudevents import cloud_event
from .stripe import meter_event
from .use import Use


class Format(StrEnum):
    STRIPE = "stripe"
    CLOUDEVENTS = "cloudevents"


def document_of(use: Use, form: Format) -> str:
    """On one line. Raises ValueError, see `meter_event`."""
    event = meter_event(use) if form is Format.STRIPE else cloud_event(use)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
