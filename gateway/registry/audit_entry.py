"""One entry of an audit trail: who did what to whom, and the hash that ties it to the entry before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeAlias, cast
from urllib.parse import urlsplit
from uuid import UUID

from gateway.pipeline.lookup import Record
from gateway.tenancy.ids import parse_id
from gateway.tenancy.tenant import Tenant

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

_UPDATED, _QUOTA_UPDATED = "tenant.updated", "tenant.quota_updated"

ACTIONS = (
    "tenant.created",
    _UPDATED,
    _QUOTA_UPDATED,
    "tenant.suspended",
    "tenant.unsuspended",
    "tenant.archived",
    "tenant.secret_rotated",
    "tenant.widget_key_rotated",
    "key.created",
    "key.updated",
    "key.rolled",
    "key.revoked",
    "domain.created",
    "domain.verified",
    "domain.deleted",
    "webhook.created",
    "webhook.updated",
    "webhook.secret_rolled",
    "webhook.deleted",
    "org.updated",
    "tokens.revoked",
    "config.reloaded",
    "console.signed_in",
    "console.sign_in_failed",
    "tenant_context.mismatch",
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: an operator by the name of its key, or the gateway itself; and in which request."""

    name: str
    request_id: str | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Act:
    """What is being done, and what shall be noted beside the fields that it changes. Never a secret."""

    actor: Actor
    action: str = _UPDATED
    details: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """`text` is the canonical encoding of the entry without `hash`, the SHA-256 of it in hexadecimal. `prev`: the hash of the
    entry before, empty in the first. `seq` counts from 1 in each organization."""

    text: bytes
    hash: str

    def fields(self) -> dict[str, Json]:
        return cast("dict[str, Json]", json.loads(self.text))


def pending(act: Act, old: Record | None, new: Record, now: float) -> bytes:
    """The entry of a change as it waits for its place in the trail: without `seq` and `prev`, with the record's version."""
    changed, action = {} if old is None else _changed(old, new), act.action
    set_first: dict[str, Json] = {"set": _first(new)} if old is None and isinstance(new, Tenant) else {}
    if action == _UPDATED and changed.keys() == {"caps"}:
        action = _QUOTA_UPDATED
    return canonical(
        {
            "at": written_at(datetime.fromtimestamp(now, UTC)),
            "actor": act.actor.name,
            "action": action,
            "tenant": new.typeid if isinstance(new, Tenant) else None,
            "org": new.org if isinstance(new, Tenant) else new.id,
            "request_id": act.actor.request_id,
            "metadata": {**act.details, **set_first, **({"changed": changed} if changed else {})},
            "version": new.version,
        }
    )


def written_at(instant: datetime) -> str:
    """As entries tell it: instants in UTC, and texts that stand in the same order."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def chained(waiting: bytes, seq: int, prev: str) -> Entry:
    """The entry in its place, after the one whose hash is `prev`."""
    fields = cast("dict[str, Json]", json.loads(waiting))
    text = canonical({**fields, "seq": seq, "prev": prev})
    return Entry(text, digest(text))


def digest(text: bytes) -> str:
    return sha256(text).hexdigest()


def canonical(fields: Mapping[str, Json]) -> bytes:
    """UTF-8 JSON, the names sorted, nothing between the tokens: the form of RFC 8785, for names in ASCII and no fractions."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def tenant_of(fields: Mapping[str, Json]) -> UUID | None:
    tenant = fields["tenant"]
    return parse_id("tnt", tenant) if isinstance(tenant, str) else None


def _shown(tenant: Tenant) -> dict[str, Json]:
    """The fields of a tenant that an entry may hold; neither credentials nor what may hide one."""
    profile = tenant.profile
    return {
        "name": tenant.name,
        "status": tenant.status.value,
        "plan": tenant.plan,
        "region": tenant.region,
        "rate_limit": None if tenant.rate is None else str(tenant.rate),
        "caps": dict(tenant.caps),
        "feature_flags": dict(tenant.features),
        "origins": list(tenant.origins),
        "callback_url": None if profile.callback_url is None else _without_query(profile.callback_url),
        "branding": dict(profile.branding),
        "agent_seats": profile.agent_seats,
        "stripe_customer_id": profile.stripe_customer_id,
        "suspend_reason": profile.suspend_reason,
        "suspended_from": profile.suspended_from,
    }


def _first(tenant: Tenant) -> dict[str, Json]:
    fixed: dict[str, Json] = {"slug": tenant.slug, "schema": tenant.schema, "external_ref": tenant.external_ref}
    return {name: value for name, value in {**fixed, **_shown(tenant)}.items() if value not in (None, [], {})}


def _changed(old: Record, new: Record) -> dict[str, Json]:
    if not isinstance(old, Tenant) or not isinstance(new, Tenant):
        return {}
    before, after = _shown(old), _shown(new)
    found: dict[str, Json] = {name: {"old": before[name], "new": after[name]} for name in after if before[name] != after[name]}
    if "callback_url" not in found and old.profile.callback_url != new.profile.callback_url:
        found["callback_url"] = {"old": before["callback_url"], "new": after["callback_url"]}
    return found


def _without_query(url: str) -> str:
    """A query may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?…' if parts.query else ''}"
