"""What an admitted request holds, until it is known how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Quota, Release, Reserve
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag

from .bucket import QuotaBucket
from .hold import Hold
from .items import Commit, Counters, HeldResource
from .lease import Lease
from .naming import counters_of, quota_bucket


class Outcome(Enum):
    """How an admitted request ended. What was delivered, or sent to a client that had gone, is counted; what the upstream
    failed (5xx, no connection, a broken response) is given back."""

    DELIVERED = auto()
    REFUND = auto()
    CLIENT_GONE = auto()


class Effect(Enum):
    """What the request has made or deleted at the upstream, as far as anybody knows: it did (2xx); it did not (4xx, or it never
    got there); or it may have, and only the upstream's own count can tell (a time-out, 5xx, a client or a worker that went)."""

    DONE = auto()
    NOTHING = auto()
    UNKNOWN = auto()


@dataclass(slots=True)
class Drawn:
    """`units` of a quota in `period`. `lease` is None where nothing bounds it. `told`: how many were used is told at the end;
    `lazy`: the client's answer does not wait until they are counted. `counted` is how many are, or will be once `commit` has
    been sent; `journaled`: they stand in the journal."""

    call: Call
    period: str
    counters: Counters
    lease: Lease | None
    units: int
    told: bool
    lazy: bool
    commit: Commit | None = None
    counted: int = 0
    journaled: bool = False


@dataclass(slots=True)
class Charge:
    """`counted`: all of its units are committed. `settled` is set by the first settlement; a second one gives nothing back.
    `goes_on`: where the store can't be reached its units go to the journal, and it is delivered. `hold` is what it holds of the
    worker's own limits, where the store could not be reached at all."""

    units: tuple[Drawn, ...] = ()
    slots: tuple[Lease, ...] = ()
    resources: tuple[HeldResource, ...] = ()
    counted: bool = False
    settled: bool = False
    goes_on: bool = False
    hold: Hold | None = None


def draw(store: Store, call: Call, quota: Quota, lease: Lease | None, period: str, counters: Counters | None = None) -> Drawn:
    """What the request holds of the quota; of one that nothing bounds there is no lease. `counters` of the caller, if known."""
    if counters is None:
        bucket = quota_bucket(store.keys, call, quota, period) if lease is None else lease.bucket
        assert isinstance(bucket, QuotaBucket)
        counters = counters_of(store.keys, call, bucket, period)
    return Drawn(call, period, counters, lease, quota.units, quota.told, quota.lazy)


def held_resource(store: Store, call: Call, demand: Reserve | Release, holder: str | None) -> HeldResource:
    tag = tenant_tag(call.require_customer().tenant.id)
    return HeldResource(store.keys.reservations(tag, demand.resource), store.keys.resources(tag), demand.resource, holder)
