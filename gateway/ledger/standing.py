"""Where a demand stands: from what the store has answered, or from what this worker holds."""

from __future__ import annotations

from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing

from .bucket import Bucket, QuotaBucket, RateBucket, SlotBucket
from .gcra import full_in, gcra_of
from .lease import Lease

_REFUSED_BY_ORG = -1
_UNBOUNDED = 1 << 52
_MICROSECONDS = 1_000_000


def told(bucket: Bucket, first: int, second: int) -> tuple[int, float]:
    """Units that were left by the store's two numbers about the bucket, and a rate's seconds until it is full."""
    match bucket:
        case RateBucket(limit=limit):
            return gcra_of(limit).remaining(first, second), full_in(first, second)
        case QuotaBucket(cap=cap, org_cap=org_cap):
            bounds = [bound - used for bound, used in ((cap, first), (org_cap, second)) if bound is not None]
            return (max(0, min(bounds)) if bounds else _UNBOUNDED), 0.0
        case SlotBucket(limit=limit):
            return max(0, limit - first), 0.0


def from_store(
    demand: Demand, bucket: Bucket | None, granted: bool, numbers: tuple[int, int, int], period_left: float
) -> Standing:
    """`granted`: whether the whole request was. `period_left`: seconds until the quota's period ends. `bucket` is None where
    the demand has none."""
    fits, first, second = numbers
    admitted = fits == 1
    match demand:
        case Rate(limit=limit):
            assert bucket is not None
            left, reset = told(bucket, first, second)
            # Of a refused request nothing was taken: the cell that would have fitted is still there.
            kept = 1 if admitted and not granted else 0
            return Standing(demand, admitted, left + kept, reset, 0.0 if admitted else gcra_of(limit).wait(first, second))
        case Quota(units=units):
            if bucket is None:
                return Standing(demand, admitted, None, period_left)
            left = max(0, told(bucket, first, second)[0] - (units if granted else 0))
            wait = 0.0 if admitted else period_left
            return Standing(demand, admitted, left, period_left, wait, by_org=fits == _REFUSED_BY_ORG)
        case Slot():
            assert bucket is not None
            left = max(0, told(bucket, first, 0)[0] - (1 if granted else 0))
            return Standing(demand, admitted, left, wait=0.0 if admitted else 1.0)
        case Reserve(cap=cap):
            left_of_cap = None if cap is None else max(0, cap - first - second - (1 if granted else 0))
            return Standing(demand, admitted, left_of_cap)
        case Nonce() | Release():
            return Standing(demand, admitted)


def from_lease(demand: Rate | Quota | Slot, lease: Lease, now: float, period_left: float) -> Standing:
    """After the demand was met from the lease. What others took since the store was asked is not known here."""
    remaining, reset = left_and_reset(demand, lease, now, period_left)
    return Standing(demand, True, remaining, reset)


def left_and_reset(demand: Demand, lease: Lease, now: float, period_left: float) -> tuple[int, float]:
    """Units that remain, and seconds until the bucket is full or the period ends."""
    left = lease.left + lease.idle
    if not isinstance(demand, Rate):
        return left, period_left if isinstance(demand, Quota) else 0.0
    limit = demand.limit
    elapsed = now - lease.told_at
    left += int(elapsed * limit.count / limit.window)
    most = limit.burst - 1 if limit.burst > 1 else 0
    reset = lease.reset + (lease.used + lease.busy) * limit.window / limit.count - elapsed
    # Spelt out, since this is on every request's way.
    return most if left > most else left, reset if reset > 0.0 else 0.0
