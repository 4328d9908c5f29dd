"""How long a lease lasts, and on whose clock.

Who holds a lease counts it from before it asked; who waits for it to end counts from after the store has answered. So both
clocks may differ by DRIFT, and the holder's lease has always ended first. The store's own clock, which can step, ends none.
"""

from __future__ import annotations

RECORD_LEASE = 1.0
"""Seconds."""
BUCKET_LEASE = 5.0
"""Seconds after which units of a bucket come back that their worker does not speak of any more; buckets.lua has it too."""
DRIFT = 0.02
"""Seconds by which two machines' clocks may part within one lease: each side keeps so far away from its end."""
KEPT = 60
"""Seconds after which the store forgets a lease that was not renewed. Far longer than the lease, since its clock can step."""

RECORD_LEASE_MS, KEPT_MS = int(RECORD_LEASE * 1000), KEPT * 1000


def lease_until(asked: float, length: float = RECORD_LEASE) -> float:
    """When a lease that was asked for at `asked` ends for its holder. On the holder's monotonic clock."""
    return asked + length - DRIFT


def lease_over(granted_before: float) -> float:
    """When every lease that was granted before then has ended. On the monotonic clock of whoever waits for that."""
    return granted_before + RECORD_LEASE + DRIFT


def leased_at(until: float) -> float:
    """When a record's lease was asked for that ends at `until` for its holder."""
    return until - RECORD_LEASE + DRIFT
