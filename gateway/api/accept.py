"""Which of two forms a caller wants an answer in."""

from __future__ import annotations

_JSON = "application/json"


def prefers(accept: str | None, media: str) -> bool:
    """Whether `Accept` (RFC 9110, 12.5.1) asks for `media` rather than for JSON. Wildcards ask for nothing in particular."""
    wanted = dict(map(_range, (accept or "").split(",")))
    weight = wanted.get(media, 0.0)
    return weight > 0 and weight > wanted.get(_JSON, 0.0)


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0
