"""Durations, sizes, rates and numbers as they are written in gateway.yaml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.tenancy.plan import RateLimit

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _duration(value: object) -> float:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("duration", "a number with a unit of time, such as 250ms, 30s, 5m, 1h or 1d")
    return float(match[1]) * _SECONDS[match[2]]


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("size", "a whole number with a unit, such as 512B, 64KiB, 10MiB or 1GiB")
    return int(match[1]) * _BYTES[match[2]]


def _at_most_a_day(seconds: float) -> float:
    if seconds > _SECONDS["d"]:
        raise PydanticCustomError("duration", "at most 1d")
    return seconds


def _longer_than_zero(seconds: float) -> float:
    if seconds <= 0:
        raise PydanticCustomError("duration", "longer than 0s")
    return seconds


def _at_least_64_kib(count: int) -> int:
    if count < 64 * _BYTES["KiB"]:
        raise PydanticCustomError("size", "at least 64KiB")
    return count


def _rate(value: str) -> str:
    try:
        RateLimit.parse(value)
    except ValueError:
        raise PydanticCustomError("rate", "a rate such as 100/second, 60/minute, 1000/hour or 5/day") from None
    return value


def _no_boolean(value: object) -> object:
    """Python counts true as 1; a number that was meant cannot be told from it."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "a whole number")
    return value


def duration_text(seconds: float) -> str:
    """`seconds` as they would be written: 0.05 is 50ms, 300.0 is 5m."""
    unit = next((unit for unit in ("d", "h", "m", "s") if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0), "ms")
    return f"{seconds / _SECONDS[unit]:g}{unit}" if seconds else "0s"


def size_text(count: int) -> str:
    """`count` bytes as they would be written: 10485760 is 10MiB."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if count and count % _BYTES[unit] == 0), "B")
    return f"{count // _BYTES[unit]}{unit}"


DURATION_PATTERN = f"^{_DURATION.pattern}$"
SIZE_PATTERN = f"^{_SIZE.pattern}$"

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "30s", "5m"]}),
]
"""Seconds."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["64KiB", "10MiB"]}),
]
"""Bytes."""

WithinADay = Annotated[Duration, AfterValidator(_at_most_a_day)]
LongerThanZero = Annotated[Duration, AfterValidator(_longer_than_zero)]
From64KiB = Annotated[Size, AfterValidator(_at_least_64_kib)]

Rate = Annotated[
    str,
    AfterValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9} */ *(second|minute|hour|day)$", "examples": ["100/second"]}),
]
"""The text of a rate, which RateLimit.parse reads."""

NoBoolean = BeforeValidator(_no_boolean)
