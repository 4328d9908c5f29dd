"""One request as the store's script reads it, and what its answer means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing
from gateway.pipeline.question import Admit
from gateway.store.connect import Store
from gateway.store.keyspace import tenant_tag
from gateway.store.lease import KEPT_MS, RECORD_LEASE_MS
from gateway.store.wire import Part, Reply

from .bucket import QuotaBucket, cap_of
from .charge import Charge, Drawn
from .items import HeldResource
from .lease import Lease
from .naming import counters_of, owner_tag, period_bounds, quota_bucket, record_keys
from .standing import from_lease, from_store

# Without a quota any time will do, and no month's end costs a second call.
_ANY_TIME = (0, 1 << 52)


@dataclass(slots=True)
class Wanted:
    """A demand, and the lease of its bucket if it has one. `held`: it is met by what is idle there.
    `extra`: more units were asked for beside. `holder` is the name under which something is reserved."""

    demand: Demand
    lease: Lease | None
    holder: str
    held: bool = False
    extra: bool = False


@dataclass(slots=True)
class Ask:
    """Made anew for each try."""

    store: Store
    question: Admit
    wanted: Sequence[Wanted]
    period: str
    keys: dict[str, int] = field(default_factory=dict)
    charge: Charge = field(default_factory=Charge)
    resources: tuple[HeldResource, ...] = ()
    nonces: tuple[str, ...] = ()

    @property
    def asked_for(self) -> Iterator[Lease]:
        """Those leases of which the store decides."""
        return (one.lease for one in self.wanted if one.lease is not None and not one.held)

    def args(self, store_time: int | None, now: float, *, recall: bool) -> list[Part]:
        """`recall`: whether others may be told to give back what is idle. Called once: what is idle here is held, or goes
        back."""
        counted = any(isinstance(one.demand, Quota) for one in self.wanted)
        start, end = period_bounds(self.period) if counted else _ANY_TIME
        args: list[Part] = ["" if store_time is None else store_time, start, end, self.store.keys.changes if recall else ""]
        args += (self.store.worker, RECORD_LEASE_MS, KEPT_MS, len(self.question.basis))
        for record in self.question.basis:
            args += (*map(self._index, record_keys(self.store.keys, record)), record.version)
        for one in self.wanted:
            args += self._encode(one, now)
        return args

    def answered(self, reply: Reply) -> list[int]:
        assert isinstance(reply, list)
        for one in self.wanted:
            if one.lease is not None and one.extra:
                one.lease.refilling = False
        return [number for number in reply if isinstance(number, int)]

    def learn(self, numbers: Sequence[int], asked: float, now: float, *, granted: bool) -> None:
        """Note what was lent. `numbers`: four for each demand, as the script answers them. Where the request was `granted`,
        `charge` is what it holds."""
        goes_on = self.question.stale_for is not None
        charge = self.charge = Charge(resources=self.resources, goes_on=goes_on) if granted else Charge()
        for one, (fits, first, second, extra) in zip(self.wanted, _fours(numbers), strict=True):
            demand, lease = one.demand, one.lease
            if lease is not None and one.held and granted:
                lease.hand_out(_units(demand))
            elif lease is not None and not one.held:
                standing = from_store(demand, lease.bucket, granted, (fits, first, second), 0.0)
                lease.learn(extra, (standing.remaining or 0) - extra, standing.reset, asked, now)
                if granted and (isinstance(demand, Quota) or (isinstance(demand, Slot) and fits == 1)):
                    lease.busy += _units(demand)
                    lease.keep(asked)
            if granted and isinstance(demand, Quota):
                charge.units += (draw(self.store, self.question.call, demand, lease, self.period),)
            elif granted and isinstance(demand, Slot) and lease is not None and fits == 1:
                charge.slots += (lease,)

    def let_go(self) -> None:
        """The request was not admitted: what is held here is idle again."""
        for one in self.wanted:
            if one.held and one.lease is not None:
                one.lease.let_go(_units(one.demand))

    def standings(self, granted: bool, numbers: Sequence[int], now: float, period_left: float) -> tuple[Standing, ...]:
        return tuple(
            self._standing(one, granted, fours[:3], now, period_left)
            for one, fours in zip(self.wanted, _fours(numbers), strict=True)
        )

    def _standing(self, one: Wanted, granted: bool, numbers: tuple[int, int, int], now: float, period_left: float) -> Standing:
        demand, lease = one.demand, one.lease
        if one.held and lease is not None and isinstance(demand, Rate | Quota | Slot):
            return from_lease(demand, lease, now, period_left)
        return from_store(demand, None if lease is None else lease.bucket, granted, numbers, period_left)

    def _encode(self, one: Wanted, now: float) -> Sequence[Part]:
        demand, lease = one.demand, one.lease
        match demand:
            case Rate() | Quota() | Slot():
                if lease is None:
                    return ("pass",)
                one.held = lease.hold(_units(demand), now)
                encoded = ("pass",) if one.held else self._encode_limit(one, demand, lease, now)
                return ("shadow", *encoded) if demand.shadow else encoded
            case Nonce(value=value, ttl=ttl):
                key = self.store.keys.nonce(owner_tag(self.question.call), value)
                self.nonces += (key,)
                return ("nonce", self._index(key), ttl * 1000)
            case Reserve(resource=resource, cap=cap):
                held = held_resource(self.store, self.question.call, demand, one.holder)
                self.resources += (held,)
                encoded = ("reserve", self._index(held.key), self._index(held.counts), resource, cap_of(cap), one.holder)
                return ("shadow", *encoded) if demand.shadow else encoded
            case Release():
                self.resources += (held_resource(self.store, self.question.call, demand, None),)
                return ("pass",)

    def _encode_limit(self, one: Wanted, demand: Rate | Quota | Slot, lease: Lease, now: float) -> tuple[Part, ...]:
        bucket, idle, units = lease.bucket.parts(self._index), lease.idle, _units(demand)
        lease.idle = 0
        report = lease.report(now)
        lease.count(units, now)
        # One ask at a time brings more, or each of many at once would.
        extra = 0 if lease.refilling else lease.wanted(now)
        if extra:
            one.extra = lease.refilling = True
        match demand:
            case Rate():
                return ("rate", *bucket, lease.epoch, *report, idle, extra)
            case Quota():
                return ("quota", *bucket, lease.epoch, idle, units, extra)
            case Slot():
                return ("slot", *bucket, lease.epoch, idle, extra)

    def _index(self, key: str) -> int:
        return self.keys.setdefault(key, len(self.keys) + 1)


def _units(demand: Demand) -> int:
    return demand.units if isinstance(demand, Quota) else 1


def _fours(numbers: Sequence[int]) -> Iterable[tuple[int, int, int, int]]:
    return zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)


def draw(store: Store, call: Call, quota: Quota, lease: Lease | None, period: str) -> Drawn:
    """What the request holds of the quota; of one that nothing bounds there is no lease."""
    bucket = quota_bucket(store.keys, call, quota, period) if lease is None else lease.bucket
    assert isinstance(bucket, QuotaBucket)
    counters = counters_of(store.keys, call, bucket, period)
    return Drawn(call, period, counters, lease, quota.units, quota.told, quota.lazy)


def held_resource(store: Store, call: Call, demand: Reserve | Release, holder: str | None) -> HeldResource:
    tag = tenant_tag(call.require_customer().tenant.id)
    return HeldResource(store.keys.reservations(tag, demand.resource), store.keys.resources(tag), demand.resource, holder)
