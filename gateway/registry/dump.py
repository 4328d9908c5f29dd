"""The registry from end to end, to be written down somewhere else: every record, every audit entry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from gateway.pipeline.lookup import Record
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .audit import Audit
from .audit_entry import Entry
from .cipher import Cipher
from .codec import encode_org, encode_tenant
from .shelf import Shelf

_AT_ONCE = 200


class Dump:
    """Everything raises Refused: STORE_UNAVAILABLE, and SECRETS_UNREADABLE of tenants. Each record is whole in itself; all of
    them together are of no single instant."""

    def __init__(self, shelf: Shelf, audit: Audit) -> None:
        self._shelf = shelf
        self._audit = audit

    @property
    def org_names(self) -> tuple[str, ...]:
        return tuple(self._shelf.orgs)

    async def orgs(self) -> list[Organization]:
        """Those of which anything is stored."""
        found = [await self._shelf.org(name, self._shelf.store.control) for name in self._shelf.orgs]
        return [org for org in found if org is not None and org.version]

    async def knows(self, tenant_id: UUID) -> bool:
        return await self._rank(tenant_id) is not None

    async def tenants(self, after: UUID | None = None) -> AsyncIterator[Tenant]:
        """From the oldest to the newest; those that were made after the one with the id `after`."""
        store = self._shelf.store
        last = after
        while True:
            rank = None if last is None else await self._rank(last)
            start = 0 if rank is None else rank + 1
            found = await store.control.command("ZRANGE", store.keys.tenants(), start, start + _AT_ONCE - 1)
            assert isinstance(found, list)
            ids = [UUID(one.decode()) for one in found if isinstance(one, bytes)]
            for tenant in await self._shelf.tenants(ids):
                if tenant is not None:
                    yield tenant
            if len(ids) < _AT_ONCE:
                return
            last = ids[-1]

    async def entries(self, org: str) -> AsyncIterator[Entry]:
        """The audit trail of an organization, from its beginning."""
        await self._audit.count(org)  # It takes in what still waits in outboxes.
        last = 0
        while chunk := await self._audit.chunk(org, last):
            for _, entry in chunk:
                yield entry
            last = chunk[-1][0]

    async def _rank(self, tenant_id: UUID) -> int | None:
        rank = await self._shelf.store.control.command("ZRANK", self._shelf.store.keys.tenants(), str(tenant_id))
        return rank if isinstance(rank, int) else None


def written(record: Record, cipher: Cipher, *, secrets: bool) -> bytes:
    """The record's document. Its secrets, and its webhooks, whose URLs may hold some, are sealed by `cipher` or left out."""
    if isinstance(record, Organization):
        return encode_org(record if secrets else replace(record, webhooks=()), cipher)
    return encode_tenant(record if secrets else replace(record, secrets=(), webhooks=()), cipher)
