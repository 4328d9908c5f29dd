"""Writing the whole state down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from gateway.ledger.carry import Carry
from gateway.pipeline.lookup import Record
from gateway.registry.cipher import Cipher
from gateway.registry.dump import Dump, written
from gateway.store.keyspace import record_tag

_FORMAT, _ORGS_SINCE = 1, 0.0
# Bytes.
_PIECE = 64 << 10


class Export:
    """`secrets`: sealed by `cipher`; else left out."""

    def __init__(self, dump: Dump, carry: Carry, cipher: Cipher, *, secrets: bool) -> None:
        self._dump = dump
        self._carry = carry
        self._cipher = cipher
        self._secrets = secrets

    async def lines(self, at: str, after: UUID | None) -> AsyncIterator[bytes]:
        """In pieces of some lines. `after`: only tenants that were made after this one. Raises Refused where it breaks off."""
        piece = bytearray()
        async for line in self._lines(at, after):
            piece += json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            if len(piece) > _PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    async def _lines(self, at: str, after: UUID | None) -> AsyncIterator[Mapping[str, object]]:
        sealed = self._cipher.key_id if self._secrets else None
        names = list(self._dump.org_names)
        yield {"kind": "tenantgate", "format": _FORMAT, "at": at, "orgs": names, "sealed": sealed}
        if after is None:
            for org in names:
                async for entry in self._dump.entries(org):
                    yield {"kind": "audit", "org": org, "entry": entry.fields(), "hash": entry.hash}
            for record in await self._dump.orgs():
                yield await self._record("org", record, _ORGS_SINCE)
        count = 0
        async for tenant in self._dump.tenants(after):
            yield await self._record("tenant", tenant, tenant.created_at)
            count += 1
        yield {"kind": "end", "tenants": count}

    async def _record(self, kind: str, record: Record, since: float) -> Mapping[str, object]:
        counters = await self._carry.read(record_tag(record.id), since)
        document = json.loads(written(record, self._cipher, secrets=self._secrets))
        told = {"kind": kind, "id": str(record.id), "version": record.version, "record": document}
        return {**told, "counters": counters.model_dump(exclude_defaults=True)}
