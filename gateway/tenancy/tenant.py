"""A tenant's record: everything about it that a decision needs, at one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from .credential import ApiKey, Revocations, SigningSecret, WidgetKey
from .domain import Domain
from .ids import typeid
from .plan import Plan, RateLimit
from .webhook import Webhook


class Status(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"
    PROVISIONING = "provisioning"
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True)
class Profile:
    """What is kept about a tenant and no decision needs. `suspended_from`: what a suspended tenant is again once that is
    lifted; None: active."""

    callback_url: str | None = None
    branding: Mapping[str, str] = field(default_factory=dict)
    agent_seats: int | None = None
    stripe_customer_id: str | None = None
    suspend_reason: str | None = None
    suspended_from: Status | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer of an organization. `version` counts its changes; a decision names the version that it was made under.

    `schema` is the tenant's PostgreSQL schema, fixed at creation. `caps`: the tenant's own caps by metric, over the plan's; an
    entry of None lifts the plan's cap, no entry keeps it. `features`: overrides of the plan's features by name.
    """

    id: UUID
    org: str
    slug: str
    schema: str
    name: str
    status: Status
    plan: str
    version: int
    created_at: float
    updated_at: float
    external_ref: str | None = None
    region: str | None = None
    rate: RateLimit | None = None
    caps: Mapping[str, int | None] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    secrets: tuple[SigningSecret, ...] = ()
    widget_keys: tuple[WidgetKey, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    domains: tuple[Domain, ...] = ()
    revocations: Revocations = field(default_factory=Revocations)
    webhooks: tuple[Webhook, ...] = ()
    profile: Profile = field(default_factory=Profile)

    @property
    def typeid(self) -> str:
        return typeid("tnt", self.id)

    def cap(self, metric: str, plan: Plan) -> int | None:
        """The bound of `metric` in a period: the tenant's own, else the plan's, else unlimited."""
        return self.caps[metric] if metric in self.caps else plan.quotas.get(metric)

    def has_feature(self, feature: str, plan: Plan) -> bool:
        return self.features.get(feature, feature in plan.features)

    def rate_limit(self, plan: Plan) -> RateLimit | None:
        return plan.rate if self.rate is None else self.rate
