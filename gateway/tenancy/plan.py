"""Plans: named bundles of rates, quotas and features, and how a tenant's own values lie over them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"([0-9]{1,9})/(second|minute|hour|day)")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`count` requests per `window` seconds, of which `burst` may come at once. A count of 0 blocks."""

    count: int
    window: int
    burst: int

    @classmethod
    def parse(cls, text: str, burst: int | None = None) -> RateLimit:
        """Read `100/second`; the burst is the count where none is given. Raises ValueError."""
        match = _RATE.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError(f"{text!r} is not a rate such as 100/second, 60/minute, 1000/hour or 5/day")
        count = int(match[1])
        return cls(count, UNITS[match[2]], count if burst is None else burst)

    def __str__(self) -> str:
        unit = next(name for name, seconds in UNITS.items() if seconds == self.window)
        return f"{self.count}/{unit}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tenant gets unless its own record says otherwise. None means unlimited, 0 means blocked."""

    name: str
    rate: RateLimit | None = None
    quotas: Mapping[str, int | None] = field(default_factory=dict)
    concurrency: int | None = None
    resources: Mapping[str, int | None] = field(default_factory=dict)
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Metric:
    """A counted thing; `cap` is the name of its cap in every API."""

    name: str
    cap: str
    lazy: bool = False
