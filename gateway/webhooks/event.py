"""Events: what happened to a tenant, as it is told to webhooks; and how they wait."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Self, cast
from uuid import UUID, uuid4

from gateway.registry.audit_entry import Entry, Json, tenant_of
from gateway.tenancy.ids import typeid
from gateway.tenancy.webhook import EVENTS, QUOTA_EXCEEDED, TEST

_SHOWN = {
    "auto",
    "caps",
    "external_ref",
    "feature_flags",
    "name",
    "origins",
    "plan",
    "rate_limit",
    "reason",
    "region",
    "slug",
    "status",
    "suspend_reason",
}
"""What a tenant may see of itself. The audit trail knows more: who did it, and what is between the platform and others."""


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is in seconds since 1970. `body` is what is sent, the same bytes each time; `id` never changes either, so that a
    receiver knows what it has had already."""

    id: str
    type: str
    at: float
    tenant: UUID | None
    body: bytes = field(repr=False)

    @property
    def lane(self) -> str:
        """Events of one lane are told one after the other. A test does not wait behind what fails."""
        return "test" if self.type == TEST or self.tenant is None else str(self.tenant)

    def fields(self) -> dict[str, Json]:
        return cast("dict[str, Json]", json.loads(self.body))

    @classmethod
    def of(cls, name: str, kind: str, at: str, org: str, tenant: UUID | None, data: Mapping[str, Json]) -> Self:
        """`at` in the form of RFC 3339."""
        shown = None if tenant is None else typeid("tnt", tenant)
        fields = {"id": name, "type": kind, "created_at": at, "org": org, "tenant_id": shown, "data": dict(data)}
        body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(name, kind, datetime.fromisoformat(at).timestamp(), tenant, body)

    @classmethod
    def read(cls, body: bytes) -> Event:
        fields = json.loads(body)
        tenant = tenant_of({"tenant": fields["tenant_id"]})
        return cls(fields["id"], fields["type"], datetime.fromisoformat(fields["created_at"]).timestamp(), tenant, body)


def event_of(entry: Entry) -> Event | None:
    """What an entry of the audit trail is told as; None: nothing."""
    fields = entry.fields()
    kind, at, org = fields["action"], fields["at"], fields["org"]
    if kind not in EVENTS:
        return None
    assert isinstance(kind, str)
    assert isinstance(at, str)
    assert isinstance(org, str)
    return Event.of(f"evt_{entry.hash[:32]}", kind, at, org, tenant_of(fields), _data(fields["metadata"]))


def trial(org: str, tenant: UUID | None, at: str) -> Event:
    """What is sent to try an endpoint out."""
    return Event.of(f"evt_{uuid4().hex}", TEST, at, org, tenant, {})


def quota_exceeded(org: str, tenant: UUID, metric: str, period: str, cap: int, at: str) -> Event:
    """The same one, whoever makes it."""
    name = sha256(json.dumps([org, str(tenant), metric, period, cap]).encode()).hexdigest()[:32]
    return Event.of(f"evt_{name}", QUOTA_EXCEEDED, at, org, tenant, {"metric": metric, "period": period, "cap": cap})


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in its lane, and how many attempts have failed."""

    event: Event
    attempts: int = 0

    @property
    def text(self) -> bytes:
        return b"%d %s" % (self.attempts, self.event.body)

    @classmethod
    def read(cls, text: bytes) -> Self:
        attempts, _, body = text.partition(b" ")
        return cls(Event.read(body), int(attempts))


def _data(metadata: Json) -> dict[str, Json]:
    """`changed`: old and new by field; `set`: the fields that a new tenant has."""
    assert isinstance(metadata, dict)
    data = {name: value for name, value in metadata.items() if name in _SHOWN}
    for part in ("changed", "set"):
        fields = metadata.get(part)
        if isinstance(fields, dict):
            data[part] = {name: value for name, value in fields.items() if name in _SHOWN}
    return data
