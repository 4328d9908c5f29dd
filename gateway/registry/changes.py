"""Changing a record: read it, edit the value, write it over the version that was read, again where somebody was faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from gateway.clock import Clock
from gateway.errors import NOT_FOUND, WRITE_CONFLICT, Refused
from gateway.pipeline.lookup import Record
from gateway.store.script import Script
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .records import Records
from .shelf import Shelf

R = TypeVar("R", Tenant, Organization)

_UNLIST = Script.load("gateway.registry", "unlist")
# Each round that fails means that another writer's has succeeded.
_ROUNDS = 8


class Changes:
    """What all writers of records share. `records` of this process forget what is changed here at once."""

    def __init__(self, shelf: Shelf, records: Records, clock: Clock) -> None:
        self.shelf = shelf
        self.clock = clock
        self._records = records

    async def tenant(self, tenant_id: UUID, edit: Callable[[Tenant], Tenant]) -> Tenant:
        """The tenant as it is after `edit`, which may run several times, and may raise Refused to end the change.

        An edit that changes nothing writes nothing. Raises Refused(NOT_FOUND, WRITE_CONFLICT).
        """
        for _ in range(_ROUNDS):
            old = await self.shelf.tenant(tenant_id, self.shelf.store.control)
            if old is None:
                raise Refused(NOT_FOUND, "No tenant has this id.")
            new = edit(old)
            if new == old:
                return old
            _check_fixed(old, new)
            new = replace(new, version=old.version + 1, updated_at=self.clock.now())
            await self._list_origins(new, old.origins)
            if await self._written(new):
                await self._tidy(old, new)
                return new
        raise Refused(WRITE_CONFLICT)

    async def org(self, org_id: str, edit: Callable[[Organization], Organization]) -> Organization:
        """Likewise, of what is stored of an organization: its root keys."""
        for _ in range(_ROUNDS):
            old = await self.shelf.org(org_id, self.shelf.store.control)
            if old is None:
                raise Refused(NOT_FOUND, "No organization of this name is configured.")
            new = edit(old)
            if new == old:
                return old
            new = replace(new, version=old.version + 1, updated_at=self.clock.now())
            if await self._written(new):
                return new
        raise Refused(WRITE_CONFLICT)

    async def create(self, tenant: Tenant) -> bool:
        """Write the first version of a tenant; False where there is a record already."""
        await self._list_origins(tenant, ())
        return await self._written(tenant)

    async def _written(self, record: Record) -> bool:
        try:
            return await self.shelf.write(record)
        finally:
            self._records.forget(record)

    async def _list_origins(self, tenant: Tenant, already: tuple[str, ...]) -> None:
        # Before the record is written: an origin may be listed for nothing, but none is ever missing.
        store = self.shelf.store
        added = [origin for origin in tenant.origins if origin not in already]
        await store.control.gather([("ZADD", store.keys.origin(one), "GT", tenant.version, str(tenant.id)) for one in added])

    async def _tidy(self, old: Tenant, new: Tenant) -> None:
        """Take out of the maps what the record does not hold any more; the record alone decides, so this may fail."""
        store = self.shelf.store
        widget_keys = {key.value for key in old.widget_keys} - {key.value for key in new.widget_keys}
        digests = {key.digest for key in old.keys} - {key.digest for key in new.keys}
        stale = [*map(store.keys.widget_key, widget_keys), *map(store.keys.api_key, digests)]
        await store.control.gather([("DEL", key) for key in stale])
        for origin in set(old.origins) - set(new.origins):
            await store.control.run(_UNLIST, [store.keys.origin(origin)], [str(new.id), new.version])


def _check_fixed(old: Tenant, new: Tenant) -> None:
    for name in ("id", "org", "slug", "schema", "external_ref", "created_at"):
        if getattr(old, name) != getattr(new, name):
            raise ValueError(f"a tenant's {name} never changes")
