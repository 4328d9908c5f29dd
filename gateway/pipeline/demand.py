"""What a call wants from the store, as values. The ledger checks all demands of a call, then takes all of them, or none.

A demand in shadow refuses nothing. Where it does not fit, a rate and a slot take nothing, so that the next request meets what
it would meet under enforcement; units are counted all the same, since the request is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.tenancy.plan import RateLimit

RateScope = Literal["tenant", "credential", "route", "client_ip"]


@dataclass(frozen=True, slots=True)
class Rate:
    """One cell of a rate limit (GCRA). `name` shows in `RateLimit`; `subject` tells buckets of a scope apart."""

    name: str
    scope: RateScope
    subject: str
    limit: RateLimit
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """`units` of a metric in the present period, under the tenant's cap and the org's. None: unlimited, but counted.

    `told`: the upstream tells afterwards how many were used, and `units` are held until then. `lazy`: the end of the answer
    does not wait until they are counted.
    """

    metric: str
    cap: int | None
    org_cap: int | None
    units: int = 1
    told: bool = False
    shadow: bool = False
    lazy: bool = False

    @property
    def unbounded(self) -> bool:
        return self.cap is None and self.org_cap is None


@dataclass(frozen=True, slots=True)
class Nonce:
    """`value`, to be used once per tenant within `ttl` seconds."""

    value: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One of `limit` places, held until the response has ended. A dead worker's place comes back by itself."""

    name: str
    scope: Literal["tenant", "route"]
    subject: str
    limit: int
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Reserve:
    """One more of a resource, such as a user, under the plan's cap. None: unlimited, but counted. It is held until it is known
    whether the upstream has made it."""

    resource: str
    cap: int | None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """One less of a resource, once the upstream has deleted it. Refuses nothing."""

    resource: str


Demand = Rate | Quota | Nonce | Slot | Reserve | Release


def in_shadow(demand: Demand) -> bool:
    return not isinstance(demand, Nonce | Release) and demand.shadow


@dataclass(frozen=True, slots=True)
class Standing:
    """How a demand stands after it was decided: whether it fits (`admitted`; one in shadow may not fit, and pass), `remaining`
    units, and `reset` seconds until the bucket is full again (rate) or the period ends (quota). `wait` is how long a refused
    caller has to wait, in seconds; 0 where it was admitted. `by_org` says that the organization's bound refused, not the
    tenant's."""

    demand: Demand
    admitted: bool
    remaining: int | None = None
    reset: float = 0.0
    wait: float = 0.0
    by_org: bool = False
