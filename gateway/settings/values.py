"""What gateway.yaml declares of plans, organizations and metrics, as the values that decisions are made with."""

from __future__ import annotations

from pathlib import Path

from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan, RateLimit
from gateway.tenancy.scopes import OWN_SCOPES, Grants

from .schema import MetricSettings, PlanSettings, RouteSettings, Settings

BUILTIN_METRICS = {
    metric.name: metric
    for metric in (
        Metric("requests", "monthly_request_cap", lazy=True),
        Metric("emails", "monthly_email_cap"),
        Metric("sms", "monthly_sms_cap"),
        Metric("messages", "monthly_message_cap"),
        Metric("tokens", "monthly_token_cap"),
    )
}


def metrics_of(settings: Settings) -> dict[str, Metric]:
    """The built-in metrics and the declared ones, by name."""
    return BUILTIN_METRICS | {name: _metric(name, metric) for name, metric in settings.metrics.items()}


def _metric(name: str, declared: MetricSettings) -> Metric:
    known = BUILTIN_METRICS.get(name) or Metric(name, cap_of(name))
    lazy = known.lazy if declared.counted is None else declared.counted == "lazy"
    return Metric(name, declared.cap or known.cap, lazy)


def cap_of(metric: str) -> str:
    """The name of a declared metric's cap, where it was given none: `pages` is bounded by `monthly_page_cap`."""
    return f"monthly_{metric.removesuffix('s').replace('-', '_')}_cap"


def stale_for(settings: Settings, route: RouteSettings) -> float | None:
    """For how many seconds the route goes on by what is known while the store can't be reached; None: it does not."""
    if (route.on_store_failure or settings.store.on_store_failure) == "deny":
        return None
    return settings.store.stale_for if route.stale_for is None else route.stale_for


def journal_dir_of(settings: Settings) -> Path:
    return settings.store.journal_dir or settings.store.data_dir.parent / "journal"


def plans_of(settings: Settings) -> dict[str, Plan]:
    return {name: _plan(name, plan) for name, plan in settings.plans.items()}


def resources_of(settings: Settings) -> frozenset[str]:
    """What some plan bounds."""
    return frozenset(name for plan in settings.plans.values() for name in plan.resources)


def grants_of(settings: Settings) -> Grants:
    """What keys may hold: scopes that a `scopes` policy asks for are among it."""
    asked = [entry.config.get("require") for route in settings.routes for entry in route.policies if entry.name == "scopes"]
    found = [scope for scopes in asked if isinstance(scopes, list | tuple) for scope in scopes if isinstance(scope, str)]
    return Grants(frozenset(found) - OWN_SCOPES)


def orgs_of(settings: Settings) -> dict[str, Organization]:
    """Organizations by name, the default one first. Their keys are not configured; they are kept in the store."""
    return {
        name: Organization(
            name, default_plan=org.default_plan, handshake=org.provisioning == "handshake", quotas=dict(org.quotas)
        )
        for name, org in settings.orgs.items()
    }


def _plan(name: str, plan: PlanSettings) -> Plan:
    return Plan(
        name,
        rate=None if plan.rate is None else RateLimit.parse(plan.rate, plan.burst),
        quotas=dict(plan.quotas),
        concurrency=plan.concurrency,
        resources=dict(plan.resources),
        features=frozenset(plan.features),
    )
