"""One request as the store's script reads it, and what its answer means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from gateway.pipeline.question import Admit
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.store.lease import KEPT, RECORD_LEASE
from gateway.store.wire import Part, Reply

from .bucket import QuotaBucket, cap_of
from .charge import Charge, Drawn
from .items import HeldResource
from .lease import Lease
from .naming import counters_of, owner_tag, period_bounds, quota_bucket, record_keys
from .standing import from_store

# Without a quota any time will do, and no month's end costs a second call.
_ANY_TIME = (0, 1 << 52)


@dataclass(slots=True)
class Ask:
    """`leases` has the lease of every demand that has a bucket, in the order of the demands. Made anew for each try."""

    store: Store
    question: Admit
    leases: Sequence[Lease | None]
    period: str
    holders: Sequence[str]
    keys: dict[str, int] = field(default_factory=dict)
    charge: Charge = field(default_factory=Charge)
    resources: tuple[HeldResource, ...] = ()
    nonces: tuple[str, ...] = ()

    def args(self, store_time: int | None, now: float, *, recall: bool) -> list[Part]:
        """`recall`: whether others may be told to give back what is idle. Called once: what is idle here goes back with it."""
        bounded = any(isinstance(one, Quota) and lease is not None for one, lease in self._pairs)
        start, end = period_bounds(self.period) if bounded else _ANY_TIME
        args: list[Part] = ["" if store_time is None else store_time, start, end, self.store.keys.changes if recall else ""]
        args += (self.store.worker, int(RECORD_LEASE * 1000), KEPT * 1000, len(self.question.basis))
        for record in self.question.basis:
            args += (*map(self._index, record_keys(self.store.keys, record)), record.version)
        for (demand, lease), holder in zip(self._pairs, self.holders, strict=True):
            if in_shadow(demand):
                args.append("shadow")
            args += self._encode(demand, lease, holder, now)
        return args

    def answered(self, reply: Reply) -> list[int]:
        assert isinstance(reply, list)
        for lease in self.leases:
            if lease is not None:
                lease.asking -= 1
        return [number for number in reply if isinstance(number, int)]

    def learn(self, numbers: Sequence[int], asked: float, now: float, *, granted: bool) -> Iterator[Lease]:
        """Note what was lent, in every lease that was asked for. `numbers`: four for each demand, as the script answers them.
        Where the request was `granted`, `charge` is what it holds."""
        charge = self.charge = Charge(resources=self.resources) if granted else Charge()
        for (demand, lease), (fits, first, second, extra) in zip(self._pairs, _fours(numbers), strict=True):
            if granted and isinstance(demand, Quota):
                charge.units += (draw(self.store, self.question.call, demand, lease, self.period),)
            if lease is None:
                continue
            if granted and isinstance(demand, Quota):
                lease.busy += demand.units
                lease.keep(asked)
            elif granted and isinstance(demand, Slot) and fits == 1:
                lease.busy += 1
                lease.keep(asked)
                charge.slots += (lease,)
            standing = from_store(demand, lease.bucket, granted, (fits, first, second), 0.0)
            lease.learn(extra, (standing.remaining or 0) - extra, standing.reset, asked, now)
            yield lease

    def standings(self, granted: bool, numbers: Sequence[int], period_left: float) -> tuple[Standing, ...]:
        return tuple(
            from_store(demand, None if lease is None else lease.bucket, granted, (fits, first, second), period_left)
            for (demand, lease), (fits, first, second, _) in zip(self._pairs, _fours(numbers), strict=True)
        )

    @property
    def _pairs(self) -> Sequence[tuple[Demand, Lease | None]]:
        return list(zip(self.question.demands, self.leases, strict=True))

    def _encode(self, demand: Demand, lease: Lease | None, holder: str, now: float) -> Sequence[Part]:
        match demand:
            case Rate():
                assert lease is not None
                bucket, report = lease.bucket.parts(self._index), lease.report(now)
                return ("rate", *bucket, lease.epoch, *report, _idle(lease), _extra(lease, 1, now))
            case Quota(units=units):
                if lease is None:
                    return ("pass",)
                bucket = lease.bucket.parts(self._index)
                return ("quota", *bucket, lease.epoch, _idle(lease), units, _extra(lease, units, now))
            case Slot():
                assert lease is not None
                return ("slot", *lease.bucket.parts(self._index), lease.epoch, _idle(lease), _extra(lease, 1, now))
            case Nonce(value=value, ttl=ttl):
                key = self.store.keys.nonce(owner_tag(self.question.call), value)
                self.nonces += (key,)
                return ("nonce", self._index(key), ttl * 1000)
            case Reserve(resource=resource, cap=cap):
                held = held_resource(self.store, self.question.call, demand, holder)
                self.resources += (held,)
                return ("reserve", self._index(held.key), self._index(held.counts), resource, cap_of(cap), holder)
            case Release():
                self.resources += (held_resource(self.store, self.question.call, demand, None),)
                return ("pass",)

    def _index(self, key: str) -> int:
        return self.keys.setdefault(key, len(self.keys) + 1)


def _fours(numbers: Sequence[int]) -> Iterable[tuple[int, int, int, int]]:
    return zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)


def _idle(lease: Lease) -> int:
    idle, lease.idle = lease.idle, 0
    return idle


def _extra(lease: Lease, units: int, now: float) -> int:
    lease.count(units, now)
    # One ask at a time brings more, or each of many at once would.
    wanted = 0 if lease.asking else lease.wanted(now)
    lease.asking += 1
    return wanted


def draw(store: Store, call: Call, quota: Quota, lease: Lease | None, period: str) -> Drawn:
    """What the request holds of the quota; of one that nothing bounds there is no lease."""
    bucket = quota_bucket(store.keys, call, quota, period) if lease is None else lease.bucket
    assert isinstance(bucket, QuotaBucket)
    return Drawn(counters_of(store.keys, call, bucket, period), lease, quota.units, quota.told, quota.lazy)


def held_resource(store: Store, call: Call, demand: Reserve | Release, holder: str | None) -> HeldResource:
    tag = tenant_tag(call.require_customer().tenant.id)
    return HeldResource(store.keys.reservations(tag, demand.resource), store.keys.resources(tag), demand.resource, holder)
