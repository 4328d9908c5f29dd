"""What is answered, as it comes over the wire: field by field what the OpenAPI document says, which a test compares."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Status = Literal["active", "suspended", "archived", "provisioning", "read_only"]
Environment = Literal["live", "test"]


class Tenant(TypedDict):
    """Its caps stand beside these: `monthly_email_cap` and those of the other metrics, null where there is none."""

    id: str
    slug: str
    external_ref: str | None
    name: str
    status: Status
    suspend_reason: str | None
    plan: str
    region: str | None
    rate_limit: str | None
    features: dict[str, bool]
    created_at: str
    updated_at: str


class NewTenant(TypedDict):
    name: str
    slug: NotRequired[str | None]
    external_ref: NotRequired[str | None]
    plan: NotRequired[str | None]
    region: NotRequired[str | None]


class TenantChange(TypedDict, total=False):
    name: str
    plan: str
    region: str | None
    rate_limit: str | None
    features: dict[str, bool] | None
    read_only: bool


class TenantFilter(TypedDict, total=False):
    """`q`: words of name, slug and reference, by their beginnings."""

    external_ref: str
    status: Status
    q: str


class Key(TypedDict):
    """Without its text. `tenant_id`: the tenant that it is bound to; None: a platform's key."""

    id: str
    prefix: str
    last_four: str
    name: str
    environment: Environment
    tenant_id: str | None
    scopes: list[str]
    allowed_domain_ids: list[str] | None
    rate_limit: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    created_at: str
    created_by: str


class MintedKey(Key):
    """`key` is shown only this once."""

    key: str


class NewKey(TypedDict):
    name: str
    tenant_id: NotRequired[str | None]
    environment: NotRequired[Environment]
    scopes: NotRequired[list[str] | None]
    allowed_domain_ids: NotRequired[list[str] | None]
    rate_limit: NotRequired[str | None]
    expires_at: NotRequired[str | None]


class KeyChange(TypedDict, total=False):
    name: str
    scopes: list[str]
    allowed_domain_ids: list[str] | None
    rate_limit: str | None
    expires_at: str | None


class Webhook(TypedDict):
    """`tenant_id`: the tenant that it is told of; None: all of the organization. `events`: None: all."""

    id: str
    tenant_id: str | None
    url: str
    events: list[str] | None
    description: str | None
    enabled: bool
    created_at: str
    updated_at: str


class MadeWebhook(Webhook):
    """`secret` is shown only this once."""

    secret: str


class NewWebhook(TypedDict):
    url: str
    events: NotRequired[list[str] | None]
    tenant_id: NotRequired[str | None]
    description: NotRequired[str | None]


class WebhookChange(TypedDict, total=False):
    url: str
    events: list[str] | None
    description: str | None
    enabled: bool


class Delivery(TypedDict):
    id: str
    event_id: str
    type: str
    tenant_id: str | None
    attempt: int
    outcome: str
    status: int | None
    error: str | None
    duration_ms: int
    at: str
    next_attempt_at: str | None


class DeadLetter(TypedDict):
    id: str
    event_id: str
    type: str
    tenant_id: str | None
    attempts: int
    status: int | None
    error: str | None
    at: str
    # Any: JSON of several levels.
    event: dict[str, Any]


class Queued(TypedDict):
    event_id: str


class Replayed(TypedDict):
    replayed: int
    left: int


class DeclaredPlan(TypedDict):
    """A plan of gateway.yaml. Its caps stand beside these, null where there is none."""

    plan: str
    rate_limit: str | None
    burst: int | None
    concurrency: int | None
    resources: dict[str, int | None]
    features: list[str]


class Plan(TypedDict):
    """The caller's own; see `GET /api/v1/billing/plan`."""

    tenant_id: str
    tenant: str
    plan: str
    period: str
    resets_at: str
    # Any: JSON of several levels.
    limits: dict[str, Any]
    features: dict[str, bool]


class ImportConflict(TypedDict):
    line: int
    reason: str


class Imported(TypedDict):
    """What has become of the lines of an export; `conflicts` are the first hundred."""

    restored: int
    present: int
    conflicting: int
    conflicts: list[ImportConflict]
    complete: bool
