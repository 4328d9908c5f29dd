"""What was used: the counters that the ledger moves, read back."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag


class Usage:
    """Units by metric in a period (`2026-04`), as far as any were counted. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_tenant(self, tenant_id: UUID, period: str) -> Mapping[str, int]:
        return await self._read(self._store.keys.usage(tenant_tag(tenant_id), period))

    async def of_org(self, org: str, period: str) -> Mapping[str, int]:
        return await self._read(self._store.keys.usage(org_tag(org), period))

    async def by_credential(self, tenant_id: UUID, period: str) -> Mapping[str, Mapping[str, int]]:
        """What each credential used for this tenant: units by metric, by credential id."""
        found: dict[str, dict[str, int]] = {}
        fields = await self._read(self._store.keys.credential_usage(tenant_tag(tenant_id), period))
        for field, units in fields.items():
            metric, _, credential = field.partition(" ")
            found.setdefault(credential, {})[metric] = units
        return found

    async def _read(self, key: str) -> dict[str, int]:
        reply = await self._store.data.command("HGETALL", key)
        assert isinstance(reply, list)
        texts = [entry.decode() for entry in reply if isinstance(entry, bytes)]
        return {name: int(units) for name, units in zip(texts[::2], texts[1::2], strict=True)}
