"""What was admitted, delivered and counted in the model, and what must hold of it: I1 to I6 of the ledger."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from gateway.ledger.charge import Charge, Drawn
from gateway.pipeline.demand import Demand, Quota, Rate, Slot, Standing
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.tenancy.period import period_of
from gateway.tenancy.tenant import Tenant

from .scene import METRICS, ORG_CAPS, RATES, SLOTS
from .virtual import VirtualClock, VirtualStore
from .workers import Worker

# Seconds in which the store may not know yet that a request has ended, where nothing fails.
_ON_THE_WAY = 0.3
# Seconds after a failure in which units may be held by nobody.
_FORGOTTEN = 8.0


@dataclass(eq=False)
class Request:
    """`doubtful`: the store may have thought its worker dead meanwhile. `delivered`: the client has it whole."""

    worker: Worker
    tenant: Tenant
    demands: tuple[Demand, ...]
    charge: Charge | None = None
    doubtful: bool = False
    delivered: bool = False
    refunded: bool = False
    ended: float | None = None

    @property
    def drawn(self) -> Iterable[Drawn]:
        return () if self.charge is None else self.charge.units

    @property
    def wants_slot(self) -> bool:
        return any(isinstance(one, Slot) for one in self.demands)

    def units(self, metric: str) -> int:
        return sum(one.units for one in self.demands if isinstance(one, Quota) and one.metric == metric)


@dataclass
class Journal:
    server: VirtualStore
    clock: VirtualClock
    workers: list[Worker]
    tenants: dict[UUID, Tenant] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    answered: dict[UUID, int] = field(default_factory=dict)
    caps: defaultdict[UUID, list[tuple[int, int | None]]] = field(default_factory=lambda: defaultdict(list))
    rates: defaultdict[tuple[UUID, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    troubled_until: float = -_FORGOTTEN

    def granted(self, request: Request, charge: Charge, ran_at: int) -> None:
        """`ran_at`: when the store decided; 0: the worker did, now."""
        request.charge, request.doubtful = charge, not request.worker.in_touch
        version = request.tenant.version
        assert version >= self.answered.get(request.tenant.id, 0), "I3: admitted under a state whose change has answered"
        for demand in request.demands:
            match demand:
                case Rate(name=name):
                    insort(self.rates[request.tenant.id, name], ran_at or self.clock.micros)
                case Quota(metric=metric):
                    self._check_caps(request, metric)
                case Slot():
                    held = [one for one in self._held(request.tenant.id) if one.charge and one.charge.slots]
                    assert len(held) <= SLOTS, "I1: more slots than there are"

    def _held(self, tenant_id: UUID) -> Iterator[Request]:
        """Requests that surely hold what they were granted."""
        for one in self.requests:
            if one.tenant.id == tenant_id and one.charge is not None and one.ended is None and not one.doubtful:
                yield one

    def _check_caps(self, request: Request, metric: str) -> None:
        tenant = request.tenant
        caps = [tenant.caps.get(metric)]
        if metric == "emails":
            caps += [cap for version, cap in self.caps[tenant.id] if version > tenant.version]
        used = self.counted(tenant_tag(tenant.id), metric)
        used += self._unsettled([tenant.id], metric, of_org=False) - self._overrun([tenant.id], metric)
        assert None in caps or used <= max(cap for cap in caps if cap is not None), f"I1: more {metric} than the cap"
        org_cap, members = ORG_CAPS.get(metric), self._members(tenant.org)
        used = self.counted(org_tag(tenant.org), metric)
        used += self._unsettled(members, metric, of_org=True) - self._overrun(members, metric)
        assert org_cap is None or used <= org_cap, f"I1: more {metric} than the organization's cap"

    def _members(self, org: str) -> list[UUID]:
        return [one.id for one in self.tenants.values() if one.org == org]

    def _unsettled(self, tenants: Iterable[UUID], metric: str, *, of_org: bool) -> int:
        drawn = [one for tenant in tenants for request in self._held(tenant) for one in request.drawn]
        buckets = [(one, one.counters.bucket) for one in drawn if one.commit is None]
        return sum(
            one.units
            for one, bucket in buckets
            if bucket.metric == metric and (bucket.org_cap if of_org else bucket.cap) is not None
        )

    def _overrun(self, tenants: Iterable[UUID], metric: str) -> int:
        """Units that may lie beyond caps, as is declared: told afterwards, or counted late though nobody waited for it."""
        return sum(
            one.counted if request.doubtful and one.lazy else max(0, one.counted - one.units)
            for request in self.requests
            if request.tenant.id in tenants
            for one in request.drawn
            if one.counters.bucket.metric == metric
        )

    def counted(self, tag: str, metric: str) -> int:
        usage = self.workers[0].store.keys.usage(tag, period_of(self.clock.now()))
        return self.server.standing().get(f"{usage} {metric}", 0)

    def counted_by_day(self, tenant_id: UUID, metric: str) -> int:
        usage = self.workers[0].store.keys.usage(tenant_tag(tenant_id), period_of(self.clock.now()))
        return sum(units for name, units in self.server.standing().items() if name.startswith(f"{usage} {metric} "))

    def denied(self, request: Request, standings: Iterable[Standing]) -> None:
        """While nothing fails, there has to be a reason."""
        if self.clock.monotonic() - self.troubled_until < _FORGOTTEN:
            return
        for standing in standings:
            if standing.admitted:
                continue
            match standing.demand:
                case Quota(metric=metric, units=units, cap=cap, org_cap=org_cap):
                    tenant = request.tenant
                    fits = cap is None or self._wanted([tenant.id], tenant_tag(tenant.id), request, metric) + units <= cap
                    members = self._members(tenant.org)
                    beneath = org_cap is None or self._wanted(members, org_tag(tenant.org), request, metric) + units <= org_cap
                    assert not (fits and beneath), f"I4: {metric} refused while there were units"
                case Slot(limit=limit):
                    held = [
                        one for one in self._open([request.tenant.id], request) if any(isinstance(d, Slot) for d in one.demands)
                    ]
                    assert len(held) >= limit, "I4: a slot refused while there were some"

    def _open(self, tenants: Iterable[UUID], but: Request) -> Iterator[Request]:
        """Requests that may hold something as far as the store knows."""
        now = self.clock.monotonic()
        for one in self.requests:
            if one is not but and one.tenant.id in tenants and (one.ended is None or now - one.ended < _ON_THE_WAY):
                yield one

    def _wanted(self, tenants: Iterable[UUID], tag: str, but: Request, metric: str) -> int:
        return self.counted(tag, metric) + sum(one.units(metric) for one in self._open(tenants, but))

    def check(self) -> None:
        for (_, name), instants in self.rates.items():
            limit = RATES[name]
            for first, start in enumerate(instants):
                for last in range(first + limit.burst, len(instants)):
                    more = (last - first + 1 - limit.burst) * limit.window * 1_000_000
                    assert more <= (instants[last] - start) * limit.count, f"I1: more of rate {name} than its limit"
        for org in {tenant.org for tenant in self.tenants.values()}:
            for metric in METRICS:
                bounds = [self._check_counted(one, metric) for one in self._members(org)]
                least, most = map(sum, zip(*bounds, strict=True))
                assert least <= self.counted(org_tag(org), metric) <= most, "I6: an organization's count is not its tenants'"

    def _check_counted(self, tenant_id: UUID, metric: str) -> tuple[int, int]:
        """How much of it the organization has counted, at least and at most."""
        delivered = most = 0
        for request in self.requests:
            if request.tenant.id == tenant_id:
                for one in request.drawn:
                    if one.counters.bucket.metric == metric and one.commit is not None:
                        lost = one.commit.done.done() and not one.commit.done.result()
                        # Where one of two slots would not count it, it is taken back in the other one.
                        most += 0 if lost and not self.sharded else one.counted
                        delivered += one.counted if request.delivered and not one.lazy else 0
        counted = self.counted(tenant_tag(tenant_id), metric)
        assert counted >= delivered, f"I2: {delivered} {metric} delivered, {counted} counted"
        assert counted <= most, f"I6: {most} {metric} used, {counted} counted"
        assert self.counted_by_day(tenant_id, metric) == counted, "the days do not have what the month has"
        return (delivered, most) if self.sharded else (counted, counted)

    @property
    def sharded(self) -> bool:
        """Then two calls count a request: for the tenant, and for the organization."""
        return self.workers[0].store.sharded

    def check_settled(self, org: str, metric: str) -> None:
        """Nothing is under way any more: what was counted is what was used, but for what killed workers may have counted."""
        bounds = [self._check_settled(one, metric) for one in self._members(org)]
        least, most = map(sum, zip(*bounds, strict=True))
        counted = self.counted(org_tag(org), metric)
        assert least <= counted <= most, f"I6: {least} to {most} {metric} used, {counted} counted of an organization"

    def _check_settled(self, tenant_id: UUID, metric: str) -> tuple[int, int]:
        least = most = 0
        for request in self.requests:
            if request.tenant.id == tenant_id:
                for one in request.drawn:
                    if one.counters.bucket.metric != metric or one.commit is None:
                        continue
                    done = one.commit.done.done()
                    if request.worker.gone and (not done or request.refunded):
                        most += one.counted
                    elif done and one.commit.done.result() and not request.refunded:
                        least, most = least + one.counted, most + one.counted
        counted = self.counted(tenant_tag(tenant_id), metric)
        assert least <= counted <= most, f"I6: {least} to {most} {metric} used, {counted} counted"
        return least, most
