"""The fields of an API key as both APIs take and show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import Field

from gateway.registry.audit_entry import Json
from gateway.registry.key_index import OwnedKey
from gateway.tenancy.credential import ApiKey, Environment
from gateway.tenancy.ids import typeid
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.scopes import Grants

from .body import invalid
from .instant import Instant
from .parameters import Input, TenantId
from .shape import Shape
from .tenant_fields import Rate, Text
from .tenant_view import timestamp

_MAX_SCOPES, _MAX_DOMAINS, _MAX_OVERLAP = 100, 50, 7 * 86400

KEY_FORM = r"key_[0-9a-hjkmnp-tv-z]{26}"
KeyId = Annotated[str, Field(pattern=f"^{KEY_FORM}$", description="`key_…`")]
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$")]
Scopes = Annotated[tuple[Scope, ...], Field(max_length=_MAX_SCOPES)]
DomainId = Annotated[str, Field(pattern=r"^dom_[0-9a-hjkmnp-tv-z]{26}$")]
DomainIds = Annotated[tuple[DomainId, ...], Field(max_length=_MAX_DOMAINS)]


class NewKeyFields(Input):
    """Without `scopes` it gets all that its kind may hold."""

    name: Text
    environment: Environment = "live"
    scopes: Scopes | None = None
    allowed_domain_ids: DomainIds | None = None
    """The only domains that it may be used for; null: any of its owner."""
    rate_limit: Rate | None = None
    """A limit of its own beside its tenant's."""
    expires_at: Instant | None = None


class NewKey(NewKeyFields):
    """Without `tenant_id` it is a platform key."""

    tenant_id: TenantId | None = None


class KeyChange(Input):
    """What is absent stays as it is. Tenant and environment never change."""

    name: Text = ""
    scopes: Scopes = ()
    allowed_domain_ids: DomainIds | None = None
    rate_limit: Rate | None = None
    expires_at: Instant | None = None

    def over(self, key: ApiKey) -> ApiKey:
        given = self.model_fields_set
        return replace(
            key,
            name=self.name if "name" in given else key.name,
            scopes=frozenset(self.scopes) if "scopes" in given else key.scopes,
            allowed_domain_ids=self.allowed_domain_ids if "allowed_domain_ids" in given else key.allowed_domain_ids,
            rate=self.rate_limit if "rate_limit" in given else key.rate,
            expires_at=self.expires_at if "expires_at" in given else key.expires_at,
        )


class Overlap(Input):
    overlap_seconds: Annotated[int, Field(strict=True, ge=0, le=_MAX_OVERLAP)] = 0
    """For how long the old key is still good."""


class KeyShown(Shape):
    """An API key, without its text."""

    id: str
    prefix: str
    last_four: str
    name: str
    environment: Environment
    tenant_id: str | None
    """The tenant that it is bound to; null: a platform key."""
    scopes: list[str]
    allowed_domain_ids: list[str] | None
    rate_limit: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    """To about a minute; null: not in the last 400 days."""
    created_at: str
    created_by: str
    """Id of the key, or name of the operator, that made it."""


class MintedShown(KeyShown):
    key: str
    """The key itself, shown only this once."""


def key_shown(owned: OwnedKey, last_used: float | None) -> dict[str, object]:
    return {**tagged(owned), "last_used_at": _instant(last_used)}


def tagged(owned: OwnedKey) -> dict[str, object]:
    """What is shown of a key but for its use, which is no change of it: what its `ETag` is made of."""
    key = owned.key
    return {
        "id": key.id,
        "prefix": key.prefix,
        "last_four": key.last_four,
        "name": key.name,
        "environment": key.environment,
        "tenant_id": typeid("tnt", owned.owner) if isinstance(owned.owner, UUID) else None,
        "scopes": sorted(key.scopes),
        "allowed_domain_ids": None if key.allowed_domain_ids is None else [*key.allowed_domain_ids],
        "rate_limit": _rate(key.rate),
        "expires_at": _instant(key.expires_at),
        "revoked_at": _instant(key.revoked_at),
        "created_at": timestamp(key.created_at),
        "created_by": key.created_by,
    }


def noted(key: ApiKey, fields: frozenset[str]) -> Mapping[str, Json]:
    """Those of its fields, for the audit trail."""
    told: dict[str, Json] = {
        "name": key.name,
        "scopes": [*sorted(key.scopes)],
        "allowed_domain_ids": None if key.allowed_domain_ids is None else [*key.allowed_domain_ids],
        "rate_limit": _rate(key.rate),
        "expires_at": _instant(key.expires_at),
    }
    return {name: value for name, value in told.items() if name in fields}


def check_future(expires_at: float | None, now: float) -> None:
    """Raises Refused(INVALID_BODY)."""
    if expires_at is not None and expires_at <= now:
        raise invalid({"expires_at": "must lie in the future"})


def granted(grants: Grants, wanted: tuple[str, ...] | None, *, bound: bool) -> frozenset[str]:
    """The scopes of a key; None: all that its kind may hold. Raises Refused(INVALID_BODY)."""
    allowed = grants.of_kind(bound=bound)
    if wanted is None:
        return allowed
    if not allowed.issuperset(wanted):
        kind = "a key that is bound to a tenant" if bound else "a platform key"
        raise invalid({"scopes": f"{kind} may hold: {', '.join(sorted(allowed))}"})
    return frozenset(wanted)


def _rate(rate: RateLimit | None) -> str | None:
    return None if rate is None else str(rate)


def _instant(instant: float | None) -> str | None:
    return None if instant is None else timestamp(instant)
