"""Records as they are stored: compact JSON, the signing secrets encrypted within it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NotRequired, TypedDict, cast
from uuid import UUID

from gateway.tenancy.credential import ApiKey, Environment, Revocations, SigningSecret, WidgetKey
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Profile, Status, Tenant

from .cipher import Cipher
from .domain_codec import DomainDocument, from_domains, to_domains
from .webhook_codec import WebhookDocument, decode_webhooks, encode_webhooks, sealed_webhooks

Rate = tuple[int, int, int]


class KeyDocument(TypedDict):
    id: str
    digest: str
    prefix: str
    last_four: str
    name: str
    environment: Environment
    scopes: list[str]
    created_at: float
    created_by: str
    domains: NotRequired[list[str]]
    rate: NotRequired[Rate]
    expires_at: NotRequired[float]
    revoked_at: NotRequired[float]


class SecretDocument(TypedDict):
    id: str
    sealed: str
    created_at: float
    not_after: NotRequired[float]


class WidgetKeyDocument(TypedDict):
    value: str
    created_at: float
    not_after: NotRequired[float]


class RevocationsDocument(TypedDict):
    tokens: dict[str, float]
    subjects: dict[str, float]
    issued_before: float


class ProfileDocument(TypedDict):
    callback_url: NotRequired[str]
    branding: NotRequired[dict[str, str]]
    agent_seats: NotRequired[int]
    stripe_customer_id: NotRequired[str]
    suspend_reason: NotRequired[str]
    suspended_from: NotRequired[str]


class TenantDocument(TypedDict):
    org: str
    slug: str
    schema: str
    name: str
    status: str
    plan: str
    created_at: float
    updated_at: float
    external_ref: NotRequired[str]
    region: NotRequired[str]
    rate: NotRequired[Rate]
    caps: NotRequired[dict[str, int | None]]
    features: NotRequired[dict[str, bool]]
    origins: NotRequired[list[str]]
    secrets: list[SecretDocument]
    widget_keys: list[WidgetKeyDocument]
    keys: list[KeyDocument]
    domains: NotRequired[list[DomainDocument]]
    revocations: NotRequired[RevocationsDocument]
    webhooks: NotRequired[list[WebhookDocument]]
    profile: NotRequired[ProfileDocument]


class OrgDocument(TypedDict):
    keys: list[KeyDocument]
    webhooks: NotRequired[list[WebhookDocument]]
    domains: NotRequired[list[DomainDocument]]
    updated_at: float


def encode_tenant(tenant: Tenant, cipher: Cipher) -> bytes:
    document = {
        "org": tenant.org,
        "slug": tenant.slug,
        "schema": tenant.schema,
        "name": tenant.name,
        "status": tenant.status.value,
        "plan": tenant.plan,
        "created_at": tenant.created_at,
        "updated_at": tenant.updated_at,
        "external_ref": tenant.external_ref,
        "region": tenant.region,
        "rate": _from_rate(tenant.rate),
        "caps": dict(tenant.caps) or None,
        "features": dict(tenant.features) or None,
        "origins": list(tenant.origins) or None,
        "secrets": [_from_secret(secret, tenant.id, cipher) for secret in tenant.secrets],
        "widget_keys": [_from_widget_key(key) for key in tenant.widget_keys],
        "keys": [_from_key(key) for key in tenant.keys],
        "domains": from_domains(tenant.domains),
        "revocations": _from_revocations(tenant.revocations),
        "webhooks": encode_webhooks(tenant.webhooks, cipher) or None,
        "profile": _from_profile(tenant.profile),
    }
    return _dump(_present(document))


def decode_tenant(tenant_id: UUID, version: int, text: bytes, cipher: Cipher) -> Tenant:
    """Raises Refused(SECRETS_UNREADABLE) where a secret can't be decrypted."""
    document = cast(TenantDocument, json.loads(text))
    return Tenant(
        id=tenant_id,
        org=document["org"],
        slug=document["slug"],
        schema=document["schema"],
        name=document["name"],
        status=Status(document["status"]),
        plan=document["plan"],
        version=version,
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        external_ref=document.get("external_ref"),
        region=document.get("region"),
        rate=_to_rate(document.get("rate")),
        caps=document.get("caps", {}),
        features=document.get("features", {}),
        origins=tuple(document.get("origins", ())),
        secrets=tuple(_to_secret(secret, tenant_id, cipher) for secret in document["secrets"]),
        widget_keys=tuple(WidgetKey(key["value"], key["created_at"], key.get("not_after")) for key in document["widget_keys"]),
        keys=tuple(map(_to_key, document["keys"])),
        domains=to_domains(document.get("domains", ())),
        revocations=_to_revocations(document.get("revocations")),
        webhooks=decode_webhooks(document.get("webhooks", ()), cipher),
        profile=_to_profile(document.get("profile")),
    )


def sealed_secrets(text: bytes) -> tuple[str, ...]:
    """What is encrypted in a stored record, as it is."""
    document = cast("TenantDocument | OrgDocument", json.loads(text))
    signing = cast("list[SecretDocument]", document.get("secrets", []))
    return (*(secret["sealed"] for secret in signing), *sealed_webhooks(document.get("webhooks", [])))


def encode_org(org: Organization, cipher: Cipher) -> bytes:
    """What is not configured of it."""
    document = {
        "keys": [_from_key(key) for key in org.keys],
        "domains": from_domains(org.domains),
        "webhooks": encode_webhooks(org.webhooks, cipher) or None,
        "updated_at": org.updated_at,
    }
    return _dump(_present(document))


def decode_org(configured: Organization, version: int, text: bytes, cipher: Cipher) -> Organization:
    """Raises Refused(SECRETS_UNREADABLE) where a secret can't be decrypted."""
    document = cast(OrgDocument, json.loads(text))
    return replace(
        configured,
        version=version,
        keys=tuple(map(_to_key, document["keys"])),
        webhooks=decode_webhooks(document.get("webhooks", ()), cipher),
        domains=to_domains(document.get("domains", ())),
        updated_at=document["updated_at"],
    )


def _dump(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _present(document: Mapping[str, object]) -> dict[str, object]:
    """Without what is None: an absent entry and None mean the same."""
    return {name: value for name, value in document.items() if value is not None}


def _from_rate(rate: RateLimit | None) -> Rate | None:
    return None if rate is None else (rate.count, rate.window, rate.burst)


def _to_rate(rate: Rate | None) -> RateLimit | None:
    return None if rate is None else RateLimit(*rate)


def _context(tenant_id: UUID, secret_id: str) -> str:
    return f"tenant/{tenant_id}/secret/{secret_id}"


def _from_secret(secret: SigningSecret, tenant_id: UUID, cipher: Cipher) -> dict[str, object]:
    sealed = cipher.encrypt(secret.value, _context(tenant_id, secret.id))
    return _present({"id": secret.id, "sealed": sealed, "created_at": secret.created_at, "not_after": secret.not_after})


def _to_secret(secret: SecretDocument, tenant_id: UUID, cipher: Cipher) -> SigningSecret:
    value = cipher.decrypt(secret["sealed"], _context(tenant_id, secret["id"]))
    return SigningSecret(secret["id"], value, secret["created_at"], secret.get("not_after"))


def _from_widget_key(key: WidgetKey) -> dict[str, object]:
    return _present({"value": key.value, "created_at": key.created_at, "not_after": key.not_after})


def _from_key(key: ApiKey) -> dict[str, object]:
    return _present(
        {
            "id": key.id,
            "digest": key.digest,
            "prefix": key.prefix,
            "last_four": key.last_four,
            "name": key.name,
            "environment": key.environment,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "created_by": key.created_by,
            "domains": None if key.allowed_domain_ids is None else list(key.allowed_domain_ids),
            "rate": _from_rate(key.rate),
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        }
    )


def _to_key(key: KeyDocument) -> ApiKey:
    domains = key.get("domains")
    return ApiKey(
        id=key["id"],
        digest=key["digest"],
        prefix=key["prefix"],
        last_four=key["last_four"],
        name=key["name"],
        environment=key["environment"],
        scopes=frozenset(key["scopes"]),
        created_at=key["created_at"],
        created_by=key["created_by"],
        allowed_domain_ids=None if domains is None else tuple(domains),
        rate=_to_rate(key.get("rate")),
        expires_at=key.get("expires_at"),
        revoked_at=key.get("revoked_at"),
    )


def _from_revocations(revocations: Revocations) -> dict[str, object] | None:
    if revocations == Revocations():
        return None
    return {
        "tokens": dict(revocations.tokens),
        "subjects": dict(revocations.subjects),
        "issued_before": revocations.issued_before,
    }


def _to_revocations(document: RevocationsDocument | None) -> Revocations:
    return Revocations() if document is None else Revocations(**document)


def _from_profile(profile: Profile) -> dict[str, object] | None:
    document = {
        "callback_url": profile.callback_url,
        "branding": dict(profile.branding) or None,
        "agent_seats": profile.agent_seats,
        "stripe_customer_id": profile.stripe_customer_id,
        "suspend_reason": profile.suspend_reason,
        "suspended_from": profile.suspended_from,
    }
    return _present(document) or None


def _to_profile(document: ProfileDocument | None) -> Profile:
    if document is None:
        return Profile()
    before = document.get("suspended_from")
    return Profile(
        callback_url=document.get("callback_url"),
        branding=document.get("branding", {}),
        agent_seats=document.get("agent_seats"),
        stripe_customer_id=document.get("stripe_customer_id"),
        suspend_reason=document.get("suspend_reason"),
        suspended_from=None if before is None else Status(before),
    )
