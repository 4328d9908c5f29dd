"""Putting a state that was written down back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from gateway.errors import BODY_TOO_LARGE, INVALID_BODY, Refused
from gateway.ledger.carry import Carried, Carry
from gateway.pipeline.strict_json import parse_json
from gateway.registry.audit_entry import Entry, Json, canonical
from gateway.registry.cipher import Cipher
from gateway.registry.restore import Conflict, Restore
from gateway.store.keyspace import record_tag
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .lines import LINE, AuditLine, End, Head, Line, OrgLine, TenantLine

MAX_LINE = 8 << 20
_TOLD, _AT_ONCE = 100, 32


@dataclass
class Report:
    """`conflicts` are told by line, the first hundred of them; `conflicting` is how many there were. `complete`: the last line
    of an export was there."""

    restored: int = 0
    present: int = 0
    conflicting: int = 0
    conflicts: list[dict[str, object]] = field(default_factory=list)
    complete: bool = False

    def count(self, missing: bool) -> None:
        if missing:
            self.restored += 1
        else:
            self.present += 1

    def conflict(self, line: int, reason: str) -> None:
        self.conflicting += 1
        if len(self.conflicts) < _TOLD:
            self.conflicts.append({"line": line, "reason": reason})


class Import:
    """`keyed`: the caller has given the key of `cipher`."""

    def __init__(self, restore: Restore, carry: Carry, cipher: Cipher, *, keyed: bool) -> None:
        self._restore = restore
        self._carry = carry
        self._cipher = cipher
        self._keyed = keyed

    async def read(self, stream: AsyncIterable[bytes]) -> Report:
        """Line by line. Raises Refused: INVALID_BODY where it is no export, BODY_TOO_LARGE, STORE_UNAVAILABLE,
        WRITE_NOT_DURABLE. What was restored until then stays; sent again, the rest is restored."""
        report, number = Report(), 0
        waiting: list[tuple[int, TenantLine]] = []
        async for text in _split(stream):
            number += 1
            line = self._line(text, number)
            if isinstance(line, TenantLine):
                waiting.append((number, line))
            if len(waiting) == _AT_ONCE or not isinstance(line, TenantLine):
                await self._tenants(waiting, report)
                waiting.clear()
            if not isinstance(line, TenantLine):
                await self._one(number, line, report)
        await self._tenants(waiting, report)
        if not number:
            raise Refused(INVALID_BODY, "The body is no export: it is empty.")
        return report

    async def _tenants(self, lines: Sequence[tuple[int, TenantLine]], report: Report) -> None:
        """Several at once: each waits for the disk."""
        await asyncio.gather(*(self._one(number, line, report) for number, line in lines))

    async def _one(self, number: int, line: Line, report: Report) -> None:
        try:
            await self._take(line, report)
        except Conflict as conflict:
            report.conflict(number, str(conflict))

    def _line(self, text: bytes, number: int) -> Line:
        try:
            line = LINE.validate_python(parse_json(text))
        except (ValidationError, Refused):
            raise Refused(INVALID_BODY, f"Line {number} is not of an export.") from None
        if isinstance(line, Head) != (number == 1):
            raise Refused(INVALID_BODY, f"Line {number} is not of an export: its head comes first, and once.")
        if isinstance(line, Head) and line.sealed is not None and not (self._keyed and line.sealed == self._cipher.key_id):
            raise Refused(INVALID_BODY, f"The export's secrets are sealed by the key {line.sealed}: give it as `X-Export-Key`.")
        return line

    async def _take(self, line: Line, report: Report) -> None:
        match line:
            case AuditLine(org=org, entry=entry, hash=digest):
                report.count(await self._restore.entry(org, Entry(canonical(_json(entry)), digest)))
            case OrgLine(id=name, version=version):
                found = self._restore.read_org(name, version, _text(line.record), self._cipher)
                await self._counted(found, line.counters, report, await self._restore.org(found))
            case TenantLine(id=tenant_id, version=version):
                tenant = self._restore.read_tenant(tenant_id, version, _text(line.record), self._cipher)
                await self._counted(tenant, line.counters, report, await self._restore.tenant(tenant))
            case End():
                report.complete = True

    async def _counted(self, record: Tenant | Organization, counters: Carried, report: Report, missing: bool) -> None:
        await self._carry.restore(record_tag(record.id), counters)
        report.count(missing)


def _json(fields: Mapping[str, object]) -> dict[str, Json]:
    # It was parsed from JSON.
    return fields  # type: ignore[return-value]


def _text(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


async def _split(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Lines, without those that are empty. Raises Refused(BODY_TOO_LARGE) for one that is too long."""
    rest = bytearray()
    async for chunk in stream:
        rest += chunk
        *lines, tail = rest.split(b"\n")
        rest = bytearray(tail)
        if len(rest) > MAX_LINE:
            raise Refused(BODY_TOO_LARGE, f"A line may have {MAX_LINE} bytes.", headers=(("Connection", "close"),))
        for line in lines:
            if line.strip():
                yield bytes(line)
    if rest.strip():
        yield bytes(rest)
