"""How limits are told to the client: draft-ietf-httpapi-ratelimit-headers-10, and the refusal of a limited request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from gateway.errors import (
    CONCURRENCY_LIMITED,
    ORG_QUOTA_EXCEEDED,
    RATE_LIMITED,
    REPLAYED_REQUEST,
    TENANT_QUOTA_EXCEEDED,
    Problem,
    Refused,
)

from .demand import Nonce, Quota, Rate, Slot, Standing


def refusal(standings: Sequence[Standing]) -> Refused:
    """The first demand that was refused gives the code; the wait is that of the slowest, so that one retry suffices."""
    violated = [standing for standing in standings if not (standing.admitted or _in_shadow(standing))]
    problem = _problem(violated[0])
    if problem is REPLAYED_REQUEST:
        return Refused(problem)
    limits = [standing for standing in violated if not isinstance(standing.demand, Nonce)]
    return Refused(
        problem,
        retry_after=max(1, *(standing.wait for standing in limits)),
        headers=tuple(limit_headers(limits)),
        members={"violated-policies": [_name(standing) for standing in limits]},
    )


def limit_headers(standings: Iterable[Standing]) -> Iterable[tuple[str, str]]:
    """`RateLimit-Policy` and `RateLimit` of the limits that bound this request; nothing where none did. Limits in shadow bind
    nobody, so nobody is told of them.

    A refused limit tells as `t` when it will admit again, so that `Retry-After` is never earlier.
    """
    policies, states = [], []
    for standing in standings:
        bound = _bound(standing)
        if bound is None or standing.remaining is None or _in_shadow(standing):
            continue
        name = _name(standing)
        policies.append(f'"{name}";{bound}')
        states.append(f'"{name}";r={standing.remaining};t={ceil(standing.reset if standing.admitted else standing.wait)}')
    if policies:
        yield "RateLimit-Policy", ", ".join(policies)
        yield "RateLimit", ", ".join(states)


def shadowed(standings: Iterable[Standing]) -> Iterable[Problem]:
    """With which codes limits in shadow would have refused the request."""
    return (_problem(standing) for standing in standings if _in_shadow(standing) and not standing.admitted)


def _in_shadow(standing: Standing) -> bool:
    return not isinstance(standing.demand, Nonce) and standing.demand.shadow


def _problem(standing: Standing) -> Problem:
    match standing.demand:
        case Nonce():
            return REPLAYED_REQUEST
        case Rate():
            return RATE_LIMITED
        case Slot():
            return CONCURRENCY_LIMITED
        case Quota():
            return ORG_QUOTA_EXCEEDED if standing.by_org else TENANT_QUOTA_EXCEEDED


def _name(standing: Standing) -> str:
    match standing.demand:
        case Quota(metric=metric):
            return metric
        case Rate(name=name) | Slot(name=name):
            return name
        case Nonce():
            return "nonce"


def _bound(standing: Standing) -> str | None:
    match standing.demand:
        case Rate(limit=limit):
            return f"q={limit.count};w={limit.window}"
        case Quota(cap=cap, org_cap=org_cap):
            bounds = [bound for bound in (cap, org_cap) if bound is not None]
            return f"q={min(bounds)}" if bounds else None
        case _:
            return None
