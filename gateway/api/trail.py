"""An audit trail as both APIs search, show and export it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gateway.registry.audit import Audit
from gateway.registry.audit_entry import ACTIONS, Entry, canonical, tenant_of, written_at
from gateway.registry.audit_verify import Verdict

from .parameters import Input, Number, TenantId
from .pieces import Pieces
from .shape import Shape

JSON_LINES = "application/jsonl"


def _action(name: str) -> str:
    if name not in ACTIONS:
        raise ValueError(f"must be one of: {', '.join(ACTIONS)}")
    return name


def _instant(text: object) -> object:
    try:
        if not isinstance(text, str) or not text.isascii():
            raise ValueError
        if len(text) == len("2026-06-21"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-06-21T11:00:00Z, or a day such as 2026-06-21") from None


Action = Annotated[str, AfterValidator(_action), WithJsonSchema({"type": "string", "enum": list(ACTIONS)})]
_INSTANT_SCHEMA = {"type": "string", "description": "A time of RFC 3339, or a day: its beginning in UTC."}
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema(_INSTANT_SCHEMA)]


class Sought(Input):
    """Which entries; absent, all."""

    tenant_id: TenantId | None = None
    action: Action | None = None
    since: Annotated[Instant | None, Field(description="Not before this.")] = None
    until: Annotated[Instant | None, Field(description="Before this.")] = None


class After(Input):
    after: Annotated[int, Number, Field(ge=0, description="Entries with greater `seq`; absent: all that are kept.")] = 0


class EntryShown(Shape):
    """Who did what to whom; `hash` ties it to all that came before."""

    seq: int
    """Counts from 1 in each organization."""
    at: str
    actor: str
    action: str
    tenant: str | None
    org: str
    request_id: str | None
    metadata: dict[str, Any]
    version: int
    """Of the record, after the change."""
    prev: str
    """Hash of the entry before; empty in the first."""
    hash: str
    """SHA-256 of all other fields, as JSON with sorted names and nothing between the tokens."""


class VerdictShown(Shape):
    org: str
    intact: bool
    first_seq: int
    last_seq: int
    head: str
    """Hash of the last entry: keep it elsewhere."""
    broken_seq: int | None
    fault: str | None


def matching(sought: Sought) -> Callable[[Entry], bool] | None:
    """None: all of them."""
    if sought.tenant_id is None and sought.action is None and sought.since is None and sought.until is None:
        return None
    since = "" if sought.since is None else written_at(sought.since)
    # Above every digit.
    until = "~" if sought.until is None else written_at(sought.until)

    def match(entry: Entry) -> bool:
        fields = entry.fields()
        if not since <= str(fields["at"]) < until or sought.action not in (None, fields["action"]):
            return False
        return sought.tenant_id in (None, tenant_of(fields))

    return match


def entry_shown(entry: Entry) -> dict[str, object]:
    return {**entry.fields(), "hash": entry.hash}


def verdict_shown(org: str, verdict: Verdict) -> Mapping[str, object]:
    return {
        "org": org,
        "intact": verdict.broken is None,
        "first_seq": verdict.first,
        "last_seq": verdict.last,
        "head": verdict.head,
        "broken_seq": verdict.broken,
        "fault": verdict.fault or None,
    }


def export(audit: Audit, org: str, after: int) -> Pieces:
    """The trail after the entry with the number `after`, the oldest entry first, one to a line."""
    headers = {"Content-Disposition": f'attachment; filename="audit-{org}.jsonl"'}
    return Pieces(_lines(audit, org, after), JSON_LINES, headers)


async def _lines(audit: Audit, org: str, after: int) -> AsyncIterator[bytes]:
    # Brings in what changes that died have left behind.
    await audit.count(org)
    while chunk := await audit.chunk(org, after):
        yield b"".join(canonical({**entry.fields(), "hash": entry.hash}) + b"\n" for _, entry in chunk)
        after = chunk[-1][0]


EXAMPLE_ENTRY: dict[str, Any] = {
    "seq": 42,
    "at": "2026-06-21T11:00:00.000000Z",
    "actor": "ops",
    "action": "tenant.suspended",
    "tenant": "tnt_01kj9je6hbfgyrwkttbdjcv7gf",
    "org": "demo",
    "request_id": "01a20c48221975d787265c7e3ad07e75",
    "metadata": {"reason": "Non-payment"},
    "version": 1782039600000000,
    "prev": "9f86d081…",
    "hash": "60303ae2…",
}
EXAMPLE_VERDICT: dict[str, Any] = {
    "org": "demo",
    "intact": True,
    "first_seq": 1,
    "last_seq": 42,
    "head": "60303ae2…",
    "broken_seq": None,
    "fault": None,
}
