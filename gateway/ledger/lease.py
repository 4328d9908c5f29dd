"""What this worker holds of a bucket, and may hand out without asking."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from gateway.store.lease import BUCKET_LEASE, lease_until

from .bucket import Bucket, RateBucket

# Seconds of recent demand that a lease is to last, beside the time that it takes to get more; the share that is left
# when more is asked for; the demand (per second) under which none is worth its while; and the most units that anybody needs.
_AHEAD = 0.1
# Where the store has so many times a second's demand, a lease may last longer: nobody will miss what lies here.
_PLENTY, _AHEAD_IN_PLENTY = 100, 1.0
_LOW = 0.7
_SLOW = 1.5
_MOST = 1000
# How much of the longest time that an ask has taken is left with each later one.
_SLOWLY = 0.9
# Seconds of the past that tell the demand.
_REMEMBERED = 0.1
# Seconds before its end in which nothing is asked for under an epoch: longer than any ask takes.
_ASKED_BEFORE = 1.0
# The share of a lease that is left when it is renewed: two more chances come before it ends.
_RENEWED_AT = 0.6
KEPT_IDLE = 1.0
"""Seconds after which units that nobody wants go back."""


@dataclass(slots=True, eq=False)
class Lease:
    """Units of `bucket` under `epoch`, which no other lease anywhere has as its name. Times are on the monotonic clock.

    `idle` may be handed out until `until`. `busy` are set aside for a request, or handed out and not settled; `used` are cells
    of a rate that were handed out and not yet reported. `left` is what the store had beside, at `told_at`;
    `reset` the seconds until the bucket was full then. `refilling`: more was asked for, and is not here yet.
    `pending`: for so many questions one of its places has lent something while another place decides, or it is on its way back;
    `tried` is as `until`, of what was lent so.
    A lease that is `over` takes part in nothing new: something asked under its epoch may have been granted, and nobody knows.
    """

    bucket: Bucket
    epoch: str
    until: float = 0.0
    idle: int = 0
    busy: int = 0
    used: int = 0
    left: int = 0
    reset: float = 0.0
    told_at: float = 0.0
    refilling: bool = False
    over: bool = False
    pending: int = 0
    tried: float = 0.0
    # Units that were handed out since the store was asked last, when that was, and when the last one was wanted.
    taken: int = 0
    asked_at: float = 0.0
    wanted_at: float = 0.0
    # Units a second, seconds that an ask takes, how many units are worth having, how many are few, and until when others may
    # want what is idle.
    demand: float = 0.0
    latency: float = 0.0
    size: int = 0
    low_at: float = 0.0
    shared_until: float = 0.0

    def hold(self, units: int, now: float) -> bool:
        """Set idle units aside for a request, if there are so many."""
        if now >= self.until or self.over or self.idle < units:
            return False
        self.idle -= units
        self.busy += units
        self.taken += units
        self.wanted_at = now
        return True

    def let_go(self, units: int) -> None:
        """The request was not admitted in the end."""
        self.busy -= units
        self.idle += units

    def hand_out(self, units: int) -> None:
        """The request is admitted: a rate's cells are used with that, others are in use until it is settled."""
        if isinstance(self.bucket, RateBucket):
            self.busy -= units
            self.used += units

    def count(self, units: int, now: float) -> None:
        self.taken += units
        self.wanted_at = now

    def wanted(self, now: float) -> int:
        """How many units beside those of the moment are worth asking for. To be called once for each ask."""
        elapsed = max(now - self.asked_at, 0.001)
        self.demand += min(1.0, elapsed / _REMEMBERED) * (self.taken / elapsed - self.demand)
        self.asked_at, self.taken = now, 0
        if self.over or self.demand < _SLOW or now < self.shared_until:
            self.size = 0
        else:
            # Until more can be here, and then for a while.
            ahead = _AHEAD_IN_PLENTY if self.left >= _PLENTY * self.demand else _AHEAD
            self.size = min(ceil(self.demand * (ahead + 3 * self.latency)) + 1, _MOST)
        self.low_at = self.size * _LOW
        return self.size

    def learn(self, extra: int, left: int, reset: float, asked: float, now: float) -> None:
        """The store has lent `extra` units, in answer to what was asked at `asked`, and `left` others were there beside."""
        if self.over and not isinstance(self.bucket, RateBucket):
            # All that is not in use there comes back: with the end of the epoch, or when the rest is kept.
            extra = 0
        self.idle += extra
        # One that was answered late may be answered late again.
        self.latency = max(now - asked, self.latency * _SLOWLY)
        if extra:
            self.keep(asked)
        self.left, self.reset, self.told_at = left, reset, now

    def lend(self, asked: float) -> None:
        """A place may have lent something to it that another one will not: no epoch may be asked under past its end."""
        self.tried = self.tried or lease_until(asked, BUCKET_LEASE)
        self.pending += 1

    def keep(self, asked: float) -> None:
        """The store knows of it until a whole lease after `asked`. It does not where nothing was lent."""
        self.until = max(self.until, lease_until(asked, BUCKET_LEASE))

    def low(self, now: float) -> float | None:
        """Within how many seconds more should be asked for, so that nobody has to wait for it; None: there is enough."""
        if self.refilling or self.over or self.idle > self.low_at or not self.size or now < self.shared_until:
            return None
        # The rest of it goes by until the answer is there.
        return min(_AHEAD, self.idle / self.demand / 4)

    def give_up(self) -> None:
        """What it may have been granted comes back with its end; what is in use stays so until then, or until it is settled."""
        self.over = True
        self.idle = self.used = 0

    def report(self, now: float) -> tuple[int, int]:
        """Cells that are to be reported as used, and how many microseconds ago the last was."""
        used, self.used = self.used, 0
        return used, max(0, int((now - self.wanted_at) * 1_000_000))

    def hot(self, now: float) -> bool:
        """Whether what is idle will be wanted here soon, as far as anybody knows."""
        return self.size > 0 and not self.over and now < self.until and now >= self.shared_until

    def unwanted(self, now: float) -> bool:
        """Whether there is something to give back, or to report, that nobody has asked for in a while."""
        return bool(self.idle or self.used) and now - self.wanted_at >= KEPT_IDLE

    def ends_soon(self, now: float) -> bool:
        return self.until - now < BUCKET_LEASE * _RENEWED_AT

    def ended(self, now: float) -> bool:
        """Whether nothing may be asked for under its epoch any more: that could end while the ask is under way, and what is on
        its way from before would be taken for something of the ask."""
        ends = self.until or self.tried
        return ends > 0 and now >= ends - _ASKED_BEFORE

    @property
    def lives(self) -> bool:
        """Whether there is anything that the store has to be told of."""
        return bool(self.idle or self.busy or self.used)
