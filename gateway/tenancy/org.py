"""An organization's record: the platform account that hosts tenants, and its root keys and domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .credential import ApiKey
from .domain import Domain
from .webhook import Webhook


@dataclass(frozen=True, slots=True)
class Organization:
    """`quotas` is the org's plan: bounds by metric and period above those of its tenants. None or no entry: unlimited.
    `handshake`: new tenants are served once their backend has acknowledged them. `updated_at` is the instant of the record's
    last change, in seconds since 1970."""

    id: str
    version: int = 0
    default_plan: str = ""
    handshake: bool = False
    quotas: Mapping[str, int | None] = field(default_factory=dict)
    keys: tuple[ApiKey, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    domains: tuple[Domain, ...] = ()
    updated_at: float = 0.0
