"""One admission as the store's script reads it, and what its answer means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from gateway.pipeline.lookup import Record
from gateway.store.connect import Store
from gateway.store.keyspace import client_tag, org_tag, route_tag, tenant_tag
from gateway.store.lease import KEPT, RECORD_LEASE
from gateway.store.wire import Part
from gateway.tenancy.period import period_end
from gateway.tenancy.tenant import Tenant

from .charge import Charge, HeldResource, HeldSlot, HeldUnits
from .gcra import full_in, gcra_of

SLOT_LEASE = 15.0
"""Seconds after which the slot of a worker that died is free again."""

_LEASE_MS = int(SLOT_LEASE * 1000)
_RECORD_LEASE_MS, _KEPT_MS = int(RECORD_LEASE * 1000), KEPT * 1000
_MICROSECONDS = 1_000_000
_KEPT_MONTHS = 26
_NO_CAP = -1
_UNBOUNDED = 1 << 52
_REFUSED_BY_ORG = -1


class Ask:
    """Collects keys and arguments; each demand knows afterwards where it stands. Made anew for each try."""

    def __init__(self, store: Store, call: Call, period: str, now: int | None, new_holder: Callable[[], str]) -> None:
        self._keyspace = store.keys
        self._worker = store.worker
        self._call = call
        self._period = period
        self._now = now
        self._new_holder = new_holder
        self._keys: dict[str, int] = {}
        self._units: list[HeldUnits] = []
        self._slots: list[HeldSlot] = []
        self._nonces: list[str] = []
        self._resources: list[HeldResource] = []
        self._demands: Sequence[Demand] = ()

    @property
    def keys(self) -> list[str]:
        return list(self._keys)

    @property
    def charge(self) -> Charge:
        """What is taken where the store grants it."""
        return Charge(tuple(self._units), tuple(self._slots), tuple(self._resources))

    @property
    def everything(self) -> Charge:
        """Likewise, for a request that is not admitted in the end. Only a rate's cells are lost to it."""
        reserved = [HeldSlot(one.key, one.holder) for one in self._resources if one.holder is not None]
        return Charge(tuple(self._units), (*self._slots, *reserved), nonces=tuple(self._nonces))

    def args(self, basis: Sequence[Record], demands: Sequence[Demand]) -> list[Part]:
        self._demands = demands
        # Without a quota any time will do, and no month's end costs a second call.
        start, end = period_bounds(self._period) if any(isinstance(one, Quota) for one in demands) else (0, _UNBOUNDED)
        args: list[Part] = ["" if self._now is None else self._now, start, end, _expiry(self._period)]
        args += (self._worker, _RECORD_LEASE_MS, _KEPT_MS, len(basis))
        for record in basis:
            if isinstance(record, Tenant):
                key, tag = self._keyspace.tenant(record.id), tenant_tag(record.id)
            else:
                key, tag = self._keyspace.org(record.id), org_tag(record.id)
            args += (self._index(key), self._index(self._keyspace.leases(tag)), record.version)
        for demand in demands:
            if in_shadow(demand):
                args.append("shadow")
            args += self._encode(demand)
        return args

    def standings(self, granted: bool, now: int, numbers: Sequence[int]) -> tuple[Standing, ...]:
        """`numbers`: three for each demand, as the script answers them."""
        triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        return tuple(
            self._standing(demand, granted, now, *triple) for demand, triple in zip(self._demands, triples, strict=True)
        )

    def _encode(self, demand: Demand) -> Sequence[Part]:
        match demand:
            case Rate(name=name, scope=scope, limit=limit):
                gcra = gcra_of(limit)
                key = self._index(self._keyspace.rate(self._rate_tag(demand), scope, name, _bucket(demand)))
                interval = (gcra.window, gcra.count, gcra.interval, gcra.interval_rest)
                return ("rate", key, *interval, gcra.tolerance, gcra.tolerance_rest)
            case Quota():
                return self._encode_quota(demand)
            case Nonce(value=value, ttl=ttl):
                self._nonces.append(self._keyspace.nonce(self._tag(), value))
                return ("nonce", self._index(self._nonces[-1]), ttl * 1000)
            case Slot(name=name, scope=scope, subject=subject, limit=limit):
                tag = route_tag(subject) if scope == "route" else self._tag()
                held = HeldSlot(self._keyspace.slots(tag, name, _bucket(demand)), self._new_holder())
                self._slots.append(held)
                return ("slot", self._index(held.key), limit, held.holder, _LEASE_MS)

            case Reserve(resource=resource, cap=cap):
                # The request's id is for whoever looks into the store; what follows makes the holder one of a kind.
                holder = f"{self._call.request.request_id} {self._new_holder()}"
                wanted = self._hold_resource(resource, holder)
                return ("reserve", self._index(wanted.key), self._index(wanted.counts), resource, _cap(cap), holder)
            case Release(resource=resource):
                self._hold_resource(resource, None)
                return ("release",)

    def _hold_resource(self, resource: str, holder: str | None) -> HeldResource:
        tag = tenant_tag(self._call.require_customer().tenant.id)
        held = HeldResource(self._keyspace.reservations(tag, resource), self._keyspace.resources(tag), resource, holder)
        self._resources.append(held)
        return held

    def _encode_quota(self, quota: Quota) -> Sequence[Part]:
        tenant = self._call.require_customer().tenant
        of_tenant = self._keyspace.usage(tenant_tag(tenant.id), self._period)
        of_org = self._keyspace.usage(org_tag(tenant.org), self._period)
        of_credentials = self._keyspace.credential_usage(tenant_tag(tenant.id), self._period)
        credential = self._call.principal.credential_id
        expires = _expiry(self._period)
        self._units += [HeldUnits(key, quota.metric, quota.units, expires, quota.told) for key in (of_tenant, of_org)]
        keys = [self._index(of_tenant), self._index(of_org), 0]
        field = ""
        if credential is not None:
            field = f"{quota.metric} {credential}"
            self._units.append(HeldUnits(of_credentials, field, quota.units, expires, quota.told))
            keys[2] = self._index(of_credentials)
        return ("quota", *keys, quota.metric, field, _cap(quota.cap), _cap(quota.org_cap), quota.units)

    def _standing(self, demand: Demand, granted: bool, now: int, fits: int, first: int, second: int) -> Standing:
        admitted = fits == 1
        match demand:
            case Rate(limit=limit):
                gcra = gcra_of(limit)
                # Of a refused request nothing was taken: the cell that would have fitted is still there.
                kept = 1 if admitted and not granted else 0
                wait = 0.0 if admitted else gcra.wait(first, second)
                return Standing(demand, admitted, gcra.remaining(first, second) + kept, full_in(first, second), wait)
            case Quota(cap=cap, org_cap=org_cap, units=units):
                bounds = [bound - used for bound, used in ((cap, first), (org_cap, second)) if bound is not None]
                remaining = max(0, min(bounds) - (units if granted else 0)) if bounds else None
                reset = (period_bounds(self._period)[1] - now) / _MICROSECONDS
                wait = 0.0 if admitted else reset
                return Standing(demand, admitted, remaining, reset, wait, by_org=fits == _REFUSED_BY_ORG)
            case Nonce() | Release():
                return Standing(demand, admitted)
            case Reserve(cap=cap):
                left = None if cap is None else max(0, cap - first - second - (1 if granted else 0))
                return Standing(demand, admitted, left)
            case Slot(limit=limit):
                return Standing(demand, admitted, max(0, limit - first - (1 if granted else 0)), wait=0.0 if admitted else 1.0)

    def _rate_tag(self, rate: Rate) -> str:
        if rate.scope == "route":
            return route_tag(self._call.route)
        if rate.scope == "client_ip" and self._call.customer is None:
            return client_tag(rate.subject)
        principal = self._call.principal
        if rate.scope == "credential" and principal.root and principal.org is not None:
            # A platform key has one bucket, whichever tenant it acts for.
            return org_tag(principal.org)
        return self._tag()

    def _tag(self) -> str:
        """Where what belongs to the call's tenant is kept; of a call without one, its organization, else its route."""
        if self._call.customer is not None:
            return tenant_tag(self._call.customer.tenant.id)
        org = self._call.principal.org
        return route_tag(self._call.route) if org is None else org_tag(org)

    def _index(self, key: str) -> int:
        return self._keys.setdefault(key, len(self._keys) + 1)


def _bucket(demand: Rate | Slot) -> str:
    """A limit in shadow has a bucket of its own: it must not use up what the same limit enforces on another route."""
    return f"shadow:{demand.subject}" if demand.shadow else demand.subject


def _cap(cap: int | None) -> int:
    return _NO_CAP if cap is None else cap


@lru_cache(8)
def period_bounds(period: str) -> tuple[int, int]:
    """First microsecond of a period, and the first after it."""
    start = datetime.fromisoformat(f"{period}-01T00:00:00+00:00").timestamp()
    return int(start) * _MICROSECONDS, int(period_end(period)) * _MICROSECONDS


@lru_cache(8)
def _expiry(period: str) -> int:
    """When the counters of a period expire, in seconds since 1970: it and 25 whole months after it are kept."""
    months = int(period[:4]) * 12 + int(period[5:]) - 1 + _KEPT_MONTHS
    return int(datetime.fromisoformat(f"{months // 12:04}-{months % 12 + 1:02}-01T00:00:00+00:00").timestamp())
