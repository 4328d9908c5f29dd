"""Whether the store still remembers every lease that it has granted.

A store that was restarted, or a replica that was promoted, may have lost the latest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.clock import Clock
from gateway.store.lease import RECORD_LEASE, lease_over

# INFO gives whole seconds, each end rounded.
_UPTIME_MIN = RECORD_LEASE + 2
_NEVER_PROMOTED = "0" * 40


@dataclass(frozen=True, slots=True)
class Incarnation:
    """`name` is another one after each restart and each promotion; `uptime` is in seconds, by the store's wall clock."""

    name: str
    uptime: int
    promoted: bool

    @classmethod
    def of(cls, server: bytes, replication: bytes) -> Self:
        """Read from the sections of INFO that are called so."""
        said, of_replication = _fields(server), _fields(replication)
        promoted = of_replication.get("master_replid2", _NEVER_PROMOTED) != _NEVER_PROMOTED
        return cls(said["run_id"] + of_replication.get("master_replid", ""), int(said["uptime_in_seconds"]), promoted)


class Continuity:
    """What one process has seen of the store's incarnations."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._name: str | None = None
        self._since = float("-inf")

    def unbroken(self, seen: Incarnation) -> bool:
        """Whether the store that has just been seen was the same for longer than any lease lasts."""
        now = self._clock.monotonic()
        if seen.name != self._name:
            # A process that has seen none before goes by what the store says, which tells of a restart, but of no promotion.
            if self._name is not None or seen.promoted:
                self._since = lease_over(now)
            self._name = seen.name
        return now >= self._since and seen.uptime >= _UPTIME_MIN


def _fields(section: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in section.decode().splitlines())
    return {name: value for name, _, value in lines}
