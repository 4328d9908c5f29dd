"""What an admitted request has taken, as far as it can be given back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Outcome(Enum):
    """How an admitted request ended. What was delivered, or sent to a client that had gone, is counted; what the upstream
    failed (5xx, no connection) is given back."""

    DELIVERED = auto()
    REFUND = auto()
    CLIENT_GONE = auto()


class Effect(Enum):
    """What the request has made or deleted at the upstream, as far as anybody knows: it did (2xx); it did not (4xx, or it never
    got there); or it may have, and only the upstream's own count can tell (a time-out, 5xx, a client or a worker that went)."""

    DONE = auto()
    NOTHING = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class HeldUnits:
    """`amount` units in `field` of the usage hash `key`, which expires at `expires` (seconds since 1970). The key names the
    period that they were taken in. `told`: how many were used is told at the end."""

    key: str
    field: str
    amount: int
    expires: int
    told: bool = False

    def owed(self, outcome: Outcome, units: int | None) -> int:
        """What is to be given back where the upstream told `units` (None: nothing); below 0: what more is to be counted."""
        if outcome is Outcome.REFUND:
            return self.amount
        return self.amount - units if self.told and units is not None else 0


@dataclass(frozen=True, slots=True)
class HeldSlot:
    key: str
    holder: str


@dataclass(frozen=True, slots=True)
class HeldResource:
    """A reservation of `holder` in the sorted set `key`; what it becomes is counted in `resource` of the hash `counts`.
    `holder` is None where the request deletes one: then nothing is held."""

    key: str
    counts: str
    resource: str
    holder: str | None


@dataclass(slots=True)
class Charge:
    """`settled` is set by the first settlement; a second one gives nothing back. `nonces` are keys; those of a request that was
    admitted stay taken."""

    units: tuple[HeldUnits, ...] = ()
    slots: tuple[HeldSlot, ...] = ()
    resources: tuple[HeldResource, ...] = ()
    nonces: tuple[str, ...] = ()
    settled: bool = False
