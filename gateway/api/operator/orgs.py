"""The operator API's calls about what gateway.yaml declares: organizations and plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import create_model

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan


class ByOrg(Input):
    """Absent: the default one."""

    org: str | None = None


class OrgShown(Shape):
    """An organization; its caps are for all of its tenants together."""

    org: str
    default_plan: str
    provisioning: Literal["immediate", "handshake"]
    """Whether new tenants wait for their backend's acknowledgement."""
    tenants: int
    """How many it has, archived ones included."""
    root_keys: int
    """How many are in force."""


class PlanShown(Shape):
    """null: unlimited."""

    plan: str
    rate_limit: str | None
    burst: int | None
    concurrency: int | None
    resources: dict[str, int | None]
    features: list[str]


def organization(orgs: Mapping[str, Organization], name: str | None) -> str:
    """The organization that a query names. Raises Refused(INVALID_BODY)."""
    if name is None:
        return next(iter(orgs))
    if name not in orgs:
        raise invalid({"org": f"must be one of: {', '.join(orgs)}"}, "query")
    return name


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def orgs(self, asked: Asked[Nothing, Nothing]) -> Answered:
        return Answered({"orgs": [await self._org(name) for name in self._parts.orgs]}, "Organizations fetched.")

    async def org(self, asked: Asked[ByOrg, Nothing]) -> Answered:
        return Answered(await self._org(organization(self._parts.orgs, asked.parameters.org)), "Organization fetched.")

    async def plans(self, asked: Asked[Nothing, Nothing]) -> Answered:
        shown = [_plan(plan, self._parts.metrics.values()) for plan in self._parts.plans.values()]
        return Answered({"plans": shown}, "Plans fetched.")

    async def _org(self, name: str) -> dict[str, object]:
        declared, now = self._parts.orgs[name], self._parts.clock.now()
        _, tenants = await self._parts.tenants.page(1, 0, name)
        keys = await self._parts.keys.list(name)
        return {
            "org": name,
            "default_plan": declared.default_plan,
            "provisioning": "handshake" if declared.handshake else "immediate",
            "tenants": tenants,
            "root_keys": sum(not key.ended(now) for key in keys),
            **_caps(declared.quotas, self._parts.metrics.values()),
        }


def org_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls, metrics = _Calls(parts), tuple(parts.metrics.values())
    # Any: the type that pydantic gives to the definition of a field.
    caps: dict[str, Any] = {metric.cap: (int | None, ...) for metric in metrics}
    org = create_model("Organization", __base__=OrgShown, **caps)
    plan = create_model("Plan", __base__=PlanShown, **caps)
    orgs: dict[str, Any] = {"orgs": (list[org], ...)}  # type: ignore[valid-type]  # made at run time
    plans: dict[str, Any] = {"plans": (list[plan], ...)}  # type: ignore[valid-type]  # made at run time
    shown_org = {**_ORG, **_caps({"emails": 1_000_000}, metrics)}
    shown_plan = {**_PLAN, **_caps({"emails": 50_000}, metrics)}
    return (
        endpoint(
            "GET",
            "/fetch/orgs",
            calls.orgs,
            name="fetchOrgs",
            summary="Show the organizations that are configured",
            parameters=Nothing,
            body=Nothing,
            answer=create_model("Organizations", __base__=Shape, **orgs),
            example=Example({"orgs": [shown_org]}),
        ),
        endpoint(
            "GET",
            "/fetch/org",
            calls.org,
            name="fetchOrg",
            summary="Show an organization",
            parameters=ByOrg,
            body=Nothing,
            answer=org,
            example=Example(shown_org, parameters={"org": "demo"}),
        ),
        endpoint(
            "GET",
            "/fetch/plans",
            calls.plans,
            name="fetchPlans",
            summary="Show the plans that are configured",
            parameters=Nothing,
            body=Nothing,
            answer=create_model("Plans", __base__=Shape, **plans),
            example=Example({"plans": [shown_plan]}),
        ),
    )


_ORG = {"org": "demo", "default_plan": "starter", "provisioning": "immediate", "tenants": 3, "root_keys": 1}
_PLAN = {
    "plan": "professional",
    "rate_limit": "2000/second",
    "burst": 2000,
    "concurrency": None,
    "resources": {"users": 50},
    "features": ["recording"],
}


def _caps(quotas: Mapping[str, int | None], metrics: Iterable[Metric]) -> dict[str, object]:
    return {metric.cap: quotas.get(metric.name) for metric in metrics}


def _plan(plan: Plan, metrics: Iterable[Metric]) -> dict[str, object]:
    return {
        "plan": plan.name,
        "rate_limit": None if plan.rate is None else str(plan.rate),
        "burst": None if plan.rate is None else plan.rate.burst,
        "concurrency": plan.concurrency,
        **_caps(plan.quotas, metrics),
        "resources": dict(plan.resources),
        "features": sorted(plan.features),
    }
