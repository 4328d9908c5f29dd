"""The caller, after authentication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.tenancy.credential import Environment
from gateway.tenancy.plan import RateLimit

from .lookup import Lookup

Method = Literal["jwt", "hmac", "api_key", "widget", "public"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `acts_for` names the tenant that a root key wants to act for, to be looked up next.

    `credential_id` is what usage is counted under; it is an id and never a secret. `nonce` is to be claimed once at
    admission, for `nonce_ttl` seconds. `rate` is the credential's own limit. `until`: when the credential ends, in seconds
    since 1970, as far as its record tells.
    """

    method: Method
    subject: str
    org: str | None = None
    role: str | None = None
    scopes: frozenset[str] = frozenset()
    credential_id: str | None = None
    environment: Environment = "live"
    allowed_domain_ids: tuple[str, ...] | None = None
    rate: RateLimit | None = None
    root: bool = False
    acts_for: Lookup | None = None
    nonce: str | None = None
    nonce_ttl: int = 0
    until: float | None = None


ANONYMOUS = Principal(method="public", subject="anonymous")
