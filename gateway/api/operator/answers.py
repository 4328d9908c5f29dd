"""What the operator API's answers show, below `data`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from gateway.api.shape import Shape
from gateway.api.tenant_fields import ALIASED_CAP, QUOTA_ALIAS
from gateway.api.trail import EntryShown
from gateway.tenancy.plan import Metric
from gateway.tenancy.tenant import Status


class TenantShown(BaseModel):
    """A tenant, without its secret. Every `branding_…` that it has stands here too."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, str]

    tenant_id: str
    """A UUID."""
    org: str
    slug: str
    external_ref: str | None
    name: str
    status: Status
    suspend_reason: str | None
    schema_: Annotated[str, Field(alias="schema")]
    region: str | None
    plan_tier: str
    rate_limit: str | None
    """The tenant's own; null: its plan's holds."""
    agent_seats: int | None
    feature_flags: dict[str, bool]
    """The tenant's own, over its plan's."""
    origins: list[str]
    callback_url: str | None
    stripe_customer_id: str | None
    widget_public_key: str | None
    created_at: str
    updated_at: str


class SecretRotated(Shape):
    tenant_id: str
    tenant_secret: str
    """Shown only this once."""
    rotated_at: str


class WidgetKeyRotated(Shape):
    tenant_id: str
    widget_public_key: str
    rotated_at: str


class ResourceShown(Shape):
    cap: int | None
    used: int
    reserved: int


class ResourcesShown(Shape):
    tenant_id: str
    resources: dict[str, ResourceShown]


class Reencrypted(Shape):
    reencrypted: int
    """Tenants whose secrets were under another key."""


class EntriesShown(Shape):
    entries: list[EntryShown]
    """The newest first."""
    next_before: int | None
    """Continues the search; null at its end."""


def caps_of(metrics: Iterable[Metric]) -> list[str]:
    """The names of the caps, other names included."""
    caps = [metric.cap for metric in metrics]
    return [*caps, QUOTA_ALIAS] if ALIASED_CAP in caps else caps


def tenant_shown(metrics: Iterable[Metric]) -> type[TenantShown]:
    """With the caps that are in force, of the metrics that the settings declare."""
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = dict.fromkeys(caps_of(metrics), (int | None, ...))
    return create_model("Tenant", __base__=TenantShown, **fields)


def provisioned(shown: type[TenantShown]) -> type[TenantShown]:
    """With what is shown only once."""
    fields: dict[str, Any] = {"tenant_secret": (str, ...)}
    return create_model("ProvisionedTenant", __base__=shown, **fields)


def tenant_list(shown: type[TenantShown]) -> type[Shape]:
    fields: dict[str, Any] = {"tenants": (list[shown], ...), **dict.fromkeys(("total", "limit", "offset"), (int, ...))}  # type: ignore[valid-type]  # made at run time
    return create_model("Tenants", __base__=Shape, **fields)
