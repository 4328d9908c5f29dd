"""What is stored of credentials. A key's own text is never among it: only its SHA-256."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .plan import RateLimit

Environment = Literal["live", "test"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A platform-root or tenant-bound key. Instants are seconds since 1970."""

    id: str
    digest: str
    prefix: str
    last_four: str
    name: str
    environment: Environment
    scopes: frozenset[str]
    created_at: float
    created_by: str
    allowed_domain_ids: tuple[str, ...] | None = None
    rate: RateLimit | None = None
    expires_at: float | None = None
    revoked_at: float | None = None

    @property
    def end(self) -> float:
        """When it ends, or has ended; infinity: never, as far as is known."""
        return min(math.inf if end is None else end for end in (self.expires_at, self.revoked_at))

    def ended(self, now: float) -> bool:
        return self.end <= now


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret with which a tenant's backend signs (HMAC#1). `not_after` ends a grace, None: the present one."""

    id: str
    value: bytes = field(repr=False)
    created_at: float = 0.0
    not_after: float | None = None


@dataclass(frozen=True, slots=True)
class WidgetKey:
    """A public key for browsers; it proves nothing alone, the origin is checked beside it."""

    value: str
    created_at: float
    not_after: float | None = None


@dataclass(frozen=True, slots=True)
class Revocations:
    """Revoked JWTs of a tenant: single ones by `jti` (with the instant at which they expire anyway), and all issued before
    an instant, of one subject or of everybody."""

    tokens: Mapping[str, float] = field(default_factory=dict)
    subjects: Mapping[str, float] = field(default_factory=dict)
    issued_before: float = 0.0
