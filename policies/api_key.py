"""API keys: a tenant's own, or a platform's root key that names the tenant it acts for."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.errors import (
    AMBIGUOUS_CREDENTIALS,
    BAD_REQUEST,
    KEY_EXPIRED,
    KEY_INVALID,
    KEY_MISSING,
    KEY_REVOKED,
    TENANT_KEY_FORBIDDEN,
    TENANT_UNKNOWN,
    Problem,
    Refused,
)
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import Lookup, OwnerOfKey, TenantById, TenantByRef, TenantBySlug
from gateway.pipeline.memo import IdentityMemo
from gateway.pipeline.policy import Phase, PolicyConfig, RestsOn, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.credential import ApiKey as StoredKey
from gateway.tenancy.ids import parse_id
from gateway.tenancy.keytext import digest_of, is_api_key
from gateway.tenancy.org import Organization
from gateway.tenancy.reference import is_reference
from gateway.tenancy.slug import is_slug


class ApiKey:
    """`Authorization: Bearer tg_live_…` or `X-Api-Key: tg_live_…`. Other bearer tokens are none of its business."""

    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    rests_on: ClassVar[RestsOn] = "head"
    missing: ClassVar[Problem] = KEY_MISSING
    challenge: ClassVar[str] = 'Bearer realm="tenantgate"'

    class Config(PolicyConfig):
        ref_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "X-Tenant-Ref"
        """Header in which a root key names a tenant by its external reference."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self._ref_header = config.ref_header.lower()
        self.security_headers = frozenset({self._ref_header})
        self._prefix = setup.key_prefix

    def presents(self, request: InboundRequest) -> bool:
        return "x-api-key" in request.headers or self._bearer(request) is not None

    def authenticate(self, request: InboundRequest) -> PresentedKey:
        bearer, key = self._bearer(request), request.header("x-api-key")
        if bearer is not None and key is not None:
            raise Refused(AMBIGUOUS_CREDENTIALS, "The key came in `Authorization` and in `X-Api-Key`; send one of them.")
        text = bearer or key or ""
        if not is_api_key(self._prefix, text):
            raise Refused(KEY_INVALID, "The key is mistyped: its form or its checksum is wrong.")
        return PresentedKey(
            lookup=OwnerOfKey(digest_of(text)),
            received_at=request.received_at,
            naming=_Naming(request.header("x-tenant"), request.header("x-tenant-id"), request.header(self._ref_header)),
        )

    def _bearer(self, request: InboundRequest) -> str | None:
        """The bearer token, where it is meant to be a key."""
        token = request.bearer
        return token if token is not None and token.startswith(self._prefix + "_") else None


@dataclass(frozen=True, slots=True)
class _Naming:
    """How the request names a tenant."""

    slug: str | None
    id: str | None
    ref: str | None

    def lookup(self, org: str) -> Lookup | None:
        """The tenant that a root key of `org` wants to act for. Raises Refused.

        With both slug and id the id leads to the tenant; that the slug agrees is checked where all callers' is.
        """
        if self.ref is not None:
            if self.slug is not None or self.id is not None:
                raise Refused(BAD_REQUEST, "Name the tenant once: by reference, or by `X-Tenant` or `X-Tenant-Id`.")
            if not is_reference(self.ref):
                raise Refused(BAD_REQUEST, "A tenant's reference has 1 to 255 printable ASCII characters and no slash.")
            return TenantByRef(org, self.ref)
        if self.id is not None:
            tenant_id = parse_id("tnt", self.id)
            if tenant_id is None:
                raise Refused(TENANT_UNKNOWN, "`X-Tenant-Id` is not an id.")
            return TenantById(tenant_id)
        if self.slug is not None:
            if not is_slug(self.slug):
                raise Refused(TENANT_UNKNOWN, "`X-Tenant` is not a slug.")
            return TenantBySlug(self.slug)
        return None


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed key. Only its digest is kept."""

    lookup: OwnerOfKey
    received_at: float
    naming: _Naming
    needs_body: bool = False

    def prove(self, evidence: Evidence) -> Principal:
        record = evidence.record
        if record is None:
            raise Refused(KEY_INVALID)
        key = _find(record.keys, self.lookup.digest)
        # A revocation that the record's last change has brought is in force, however late this worker's clock is.
        _check_in_force(key, max(self.received_at, record.updated_at))
        if isinstance(record, Organization):
            return replace(_principal(key, record.id), root=True, acts_for=self.naming.lookup(record.id))
        if self.naming.ref is not None:
            raise Refused(TENANT_KEY_FORBIDDEN)
        return _principals(lambda: _principal(key, record.org), key, record)


# Of keys that are bound to a tenant: the same object for each request, so that what follows from it is remembered too.
_principals = IdentityMemo[Principal]()


def _find(keys: Sequence[StoredKey], digest: str) -> StoredKey:
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            return key
    raise Refused(KEY_INVALID)


def _check_in_force(key: StoredKey, now: float) -> None:
    if key.revoked_at is not None and key.revoked_at <= now:
        raise Refused(KEY_REVOKED)
    if key.expires_at is not None and key.expires_at <= now:
        raise Refused(KEY_EXPIRED)


def _principal(key: StoredKey, org: str) -> Principal:
    return Principal(
        method="api_key",
        subject=key.id,
        org=org,
        scopes=key.scopes,
        credential_id=key.id,
        environment=key.environment,
        allowed_domain_ids=key.allowed_domain_ids,
        rate=key.rate,
        until=min((end for end in (key.revoked_at, key.expires_at) if end is not None), default=None),
    )
