"""How limits are told to the client: draft-ietf-httpapi-ratelimit-headers-10, and the refusal of a limited request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from gateway.errors import (
    CONCURRENCY_LIMITED,
    ORG_QUOTA_EXCEEDED,
    PLAN_LIMIT_REACHED,
    RATE_LIMITED,
    REPLAYED_REQUEST,
    TENANT_QUOTA_EXCEEDED,
    Problem,
    Refused,
)

from .demand import Nonce, Quota, Rate, Release, Reserve, Slot, Standing, in_shadow
from .memo import IdentityMemo

LIMIT_HEADERS = ("RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
"""All that `limit_headers` may name."""


def refusal(standings: Sequence[Standing], *, older: bool = False) -> Refused:
    """The first demand that was refused gives the code; the wait is that of the slowest, so that one retry suffices.
    `older` is that of `limit_headers`."""
    violated = [standing for standing in standings if not (standing.admitted or in_shadow(standing.demand))]
    problem = _problem(violated[0])
    if problem is REPLAYED_REQUEST:
        return Refused(problem)
    if isinstance(violated[0].demand, Reserve):
        # No time makes it fit, so none is told.
        return Refused(problem, _full(violated[0].demand), members={"violated-policies": [_name(violated[0])]})
    limits = [standing for standing in violated if not isinstance(standing.demand, Nonce)]
    return Refused(
        problem,
        retry_after=max(1, *(standing.wait for standing in limits)),
        headers=tuple(limit_headers(limits, older=older)),
        members={"violated-policies": [_name(standing) for standing in limits]},
    )


def limit_headers(standings: Iterable[Standing], *, older: bool = False) -> Iterable[tuple[str, str]]:
    """`RateLimit-Policy` and `RateLimit` of the limits that bound this request; nothing where none did. Limits in shadow bind
    nobody, so nobody is told of them.

    A refused limit tells as `t` when it will admit again, so that `Retry-After` is never earlier. `older`: tell the tightest of
    them, the one with the smallest share left, in the trio that came before the draft, too; its reset is in seconds from now.
    """
    told = [(standing, policy) for standing in standings if (policy := _policy_told(standing)) is not None]
    if not told:
        return
    yield "RateLimit-Policy", ", ".join([policy.text for _, policy in told])
    yield "RateLimit", ", ".join([f'"{policy.name}";r={one.remaining};t={_reset(one)}' for one, policy in told])
    if older:
        tightest, policy = min(told, key=lambda one: ((one[0].remaining or 0) / max(1, one[1].quota), -_reset(one[0])))
        yield "X-RateLimit-Limit", str(policy.quota)
        yield "X-RateLimit-Remaining", str(tightest.remaining)
        yield "X-RateLimit-Reset", str(_reset(tightest))


@dataclass(frozen=True, slots=True)
class LimitTexts:
    """The limits of requests that are bound alike: `headers` are the same each time, and `names` those of all standings in
    `RateLimit`, empty for one that is not told."""

    headers: Sequence[tuple[str, str]]
    names: Sequence[str]

    @classmethod
    def of(cls, standings: Iterable[Standing]) -> LimitTexts:
        policies = [_policy_told(standing) for standing in standings]
        text = ", ".join(policy.text for policy in policies if policy is not None)
        names = ["" if policy is None else f'"{policy.name}";r=' for policy in policies]
        return cls((("RateLimit-Policy", text),) if text else (), names)

    def told(self, numbers: Iterable[tuple[int, float]]) -> str:
        """`RateLimit` of an admitted request; `numbers` are what remains and the reset, in seconds, of each standing."""
        texts = []
        for name, (left, reset) in zip(self.names, numbers, strict=True):
            if name:
                texts.append(f"{name}{left};t={ceil(reset)}")
        return ", ".join(texts)


@dataclass(frozen=True, slots=True)
class _Policy:
    """A limit as answers tell it."""

    name: str
    quota: int
    text: str


def _policy_told(standing: Standing) -> _Policy | None:
    """None where nobody is told of it."""
    if standing.remaining is None:
        return None
    return _policies(lambda: _policy(standing), standing.demand)


def _policy(standing: Standing) -> _Policy | None:
    bound = _bound(standing)
    if bound is None or in_shadow(standing.demand):
        return None
    quota, window = bound
    name = _name(standing)
    return _Policy(name, quota, f'"{name}";q={quota}' if window is None else f'"{name}";q={quota};w={window}')


_policies = IdentityMemo["_Policy | None"]()


def _reset(standing: Standing) -> int:
    """In seconds."""
    return ceil(standing.reset if standing.admitted else standing.wait)


def shadowed(standings: Iterable[Standing]) -> Iterable[Problem]:
    """With which codes limits in shadow would have refused the request."""
    return (_problem(standing) for standing in standings if in_shadow(standing.demand) and not standing.admitted)


def overruns(standings: Iterable[Standing], units: int | None) -> Mapping[str, int]:
    """Where the upstream told that `units` were used: by metric, how many of them go beyond what was held for it."""
    quotas = [standing.demand for standing in standings if isinstance(standing.demand, Quota) and standing.demand.told]
    return {quota.metric: units - quota.units for quota in quotas if units is not None and units > quota.units}


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
        case Reserve() | Release():
            return PLAN_LIMIT_REACHED


def _full(reserve: Reserve) -> str:
    return f"The plan allows {reserve.cap} of {reserve.resource}." if reserve.cap else f"The plan allows no {reserve.resource}."


def _name(standing: Standing) -> str:
    match standing.demand:
        case Quota(metric=metric):
            return metric
        case Rate(name=name) | Slot(name=name):
            return name
        case Reserve(resource=resource) | Release(resource=resource):
            return resource
        case Nonce():
            return "nonce"


def _bound(standing: Standing) -> tuple[int, int | None] | None:
    """The limit's units, and its window in seconds where it has one."""
    match standing.demand:
        case Rate(limit=limit):
            return limit.count, limit.window
        case Quota(cap=cap, org_cap=org_cap):
            bounds = [bound for bound in (cap, org_cap) if bound is not None]
            return (min(bounds), None) if bounds else None
        case _:
            return None
