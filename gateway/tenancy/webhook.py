"""Webhooks: where a tenant or a platform wants to be told of what happens."""

from __future__ import annotations

from dataclasses import dataclass

from .credential import SigningSecret

QUOTA_EXCEEDED, TEST = "tenant.quota_exceeded", "webhook.test"
EVENTS = (
    "tenant.created",
    "tenant.updated",
    "tenant.quota_updated",
    "tenant.suspended",
    "tenant.unsuspended",
    "tenant.archived",
    "tenant.secret_rotated",
    "tenant.widget_key_rotated",
    QUOTA_EXCEEDED,
)
"""What can be subscribed to. A TEST goes to whoever asks for it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint of a tenant, told of that tenant, or of an organization, told of all of its tenants. Instants are seconds
    since 1970.

    `events`: the kinds that it is told of; None: all, those to come included. Each delivery is signed with every one of
    `secrets` that is valid: those with a `not_after` end then.
    """

    id: str
    url: str
    secrets: tuple[SigningSecret, ...]
    created_at: float
    created_by: str
    updated_at: float
    events: tuple[str, ...] | None = None
    description: str = ""
    enabled: bool = True

    def __repr__(self) -> str:
        """Without the URL, which may hold a token."""
        return f"Webhook({self.id})"

    def wants(self, event: str, at: float) -> bool:
        """Whether it is told of an event of this kind, that happened at `at`."""
        return self.enabled and self.created_at <= at and (self.events is None or event in self.events)
