"""Finding records: what a credential leads to, from memory or from the store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

from cachetools import LRUCache

from gateway.clock import Clock
from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.lookup import (
    Lookup,
    OrgByName,
    OwnerOfKey,
    OwnerOfWidgetKey,
    Record,
    TenantByHost,
    TenantById,
    TenantByOrigin,
    TenantByRef,
    TenantBySlug,
)
from gateway.store.client import Client
from gateway.tenancy.domain import verified
from gateway.tenancy.tenant import Status, Tenant

from .domain_name import read_holder
from .memory import Memory
from .owner import Owner, read_owner
from .shelf import Shelf

_RECORDS, _LOOKUPS = 10_000, 40_000
_CLOSE = 1.0
# Of an origin that very many tenants list, one that is active is as good as another.
_ORIGIN_TENANTS = 16


class Records:
    """Remembers the records that were found last, each once, however many lookups lead to it.

    A remembered record may be old, unless it is `leased`. `records` and `lookups` bound how many are remembered; what was not
    found never is, so that callers who guess can't push the others out.
    """

    def __init__(self, shelf: Shelf, clock: Clock, records: int = _RECORDS, lookups: int = _LOOKUPS) -> None:
        self.clock = clock
        self._shelf = shelf
        self._memory = Memory(clock, records)
        self._owners: LRUCache[Lookup, Owner] = LRUCache(lookups)
        self.leased = self._memory.leased
        self.lease_left = self._memory.lease_left
        self.trust = self._memory.trust
        self.age = self._memory.age
        self.learn = self._memory.learn
        self.drop = self._memory.drop

    def peek(self, lookup: Lookup) -> Record | None:
        owner = self._owner(lookup)
        record = None if owner is None else self._memory.get(owner)
        return record if record is None or type(lookup) is not TenantByHost else _of_host(record, lookup.host)

    async def resolve(self, lookup: Lookup, stale_for: float | None = None) -> Record | None:
        """The record as the store has it now, and leased; where the store can't be reached, as it was at most `stale_for`
        seconds ago. Raises Refused(STORE_UNAVAILABLE, SECRETS_UNREADABLE)."""
        try:
            return await self._look_up(lookup)
        except Refused as refused:
            known = self.peek(lookup)
            if refused.problem is not STORE_UNAVAILABLE or stale_for is None or known is None or self.age(known) > stale_for:
                raise
            return known

    async def _look_up(self, lookup: Lookup) -> Record | None:
        if isinstance(lookup, TenantByOrigin):
            return await self._of_origin(lookup.origin)
        # Who has a host may have changed.
        known = None if isinstance(lookup, TenantByHost) else self._owner(lookup)
        owner = known or await self._find(lookup)
        record = None if owner is None else await self._read(owner)
        if isinstance(lookup, TenantByHost):
            record = _of_host(record, lookup.host)
        if owner is not None and record is not None and not isinstance(lookup, TenantById | OrgByName):
            self._owners[lookup] = owner
        return record

    async def close(self) -> None:
        """Trust nothing any more, and give all leases back: whoever changes a record need not wait for a process that is gone.

        Where the store does not answer in a second, they end by themselves.
        """
        with suppress(Refused, TimeoutError):
            async with asyncio.timeout(_CLOSE):
                await self._shelf.release(self._memory.clear())

    def forget(self, record: Record) -> None:
        self._memory.forget(record.id)

    def _owner(self, lookup: Lookup) -> Owner | None:
        if isinstance(lookup, TenantById):
            return lookup.id
        return lookup.name if isinstance(lookup, OrgByName) else self._owners.get(lookup)

    async def _find(self, lookup: Lookup) -> Owner | None:
        keys = self._shelf.store.keys
        match lookup:
            case TenantBySlug(slug):
                key = keys.slug(slug)
            case TenantByRef(org, ref):
                key = keys.ref(org, ref)
            case OwnerOfKey(digest):
                key = keys.api_key(digest)
            case OwnerOfWidgetKey(widget_key):
                key = keys.widget_key(widget_key)
            case TenantByHost(host):
                holder = await self._client.command("GET", keys.domain(host))
                return read_holder(holder)[0] if isinstance(holder, bytes) else None
            case _:
                return None
        found = await self._client.command("GET", key)
        return read_owner(found) if isinstance(found, bytes) else None

    async def _read(self, owner: Owner) -> Record | None:
        asked = self.clock.monotonic()
        record = await self._shelf.lease(owner)
        if record is None:
            self._memory.forget(owner)
        else:
            self._memory.learn(record, asked)
        return record

    async def _of_origin(self, origin: str) -> Tenant | None:
        """A tenant that lists the origin, an active one if there is one among those that listed it last."""
        found = await self._client.command("ZREVRANGE", self._shelf.store.keys.origin(origin), 0, _ORIGIN_TENANTS - 1)
        assert isinstance(found, list)
        best = None
        for entry in found:
            assert isinstance(entry, bytes)
            tenant = await self._read(UUID(entry.decode()))
            if isinstance(tenant, Tenant) and origin in tenant.origins:
                if tenant.status is Status.ACTIVE:
                    return tenant
                best = best or tenant
        return best

    @property
    def _client(self) -> Client:
        return self._shelf.store.data


def _of_host(record: Record | None, host: str) -> Tenant | None:
    """The record, if it is of a tenant that has proved the domain."""
    return record if isinstance(record, Tenant) and verified(record.domains, host) is not None else None
