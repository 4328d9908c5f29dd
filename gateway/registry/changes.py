"""Changing a record: read it, edit the value, write it over the version that was read, again where somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import random
from typing import TypeVar
from uuid import UUID

from gateway.clock import Clock
from gateway.errors import NOT_FOUND, WRITE_CONFLICT, Refused
from gateway.pipeline.lookup import Record
from gateway.store.script import Script
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .audit import Audit
from .audit_entry import Act, pending
from .records import Records
from .shelf import Shelf, next_version
from .withdrawal import Pause, Withdrawal

R = TypeVar("R", Tenant, Organization)

NO_TENANT = "No tenant has this id."

_UNLIST = Script.load("gateway.registry", "unlist")
# A round that fails means that another writer's has succeeded: so many changes at once all succeed, however they interleave.
_ROUNDS = 100
# Seconds, at random up to this: most of the writers let the others pass.
_PAUSE = 0.02


class Changes:
    """What all writers of records share. A change has returned when no worker decides under what was before it.

    Every change is noted in the audit trail and waits for the disk. Where that fails Refused(STORE_UNAVAILABLE,
    WRITE_NOT_DURABLE) is raised although the change is in force.

    `pause` waits for some seconds, on `clock`.
    """

    def __init__(self, shelf: Shelf, records: Records, clock: Clock, pause: Pause = asyncio.sleep) -> None:
        self.shelf = shelf
        self.clock = clock
        self.audit = Audit(shelf.store, clock.now)
        self._records = records
        self._withdrawal = Withdrawal(shelf, records, pause)

    async def tenant(self, tenant_id: UUID, edit: Callable[[Tenant], Tenant], act: Act) -> Tenant:
        """The tenant as it is after `edit`, which may run several times, and may raise Refused to end the change.

        An edit that changes nothing writes nothing, but waits like any other. Raises Refused(NOT_FOUND, WRITE_CONFLICT).
        """

        def checked(old: Tenant) -> Tenant:
            new = edit(old)
            _check_fixed(old, new)
            return new

        control = self.shelf.store.control
        async with self.audit.around(tenant_id):
            return await self._change(lambda: self.shelf.tenant(tenant_id, control), checked, act, NO_TENANT)

    async def org(self, org_id: str, edit: Callable[[Organization], Organization], act: Act) -> Organization:
        """Likewise, of what is stored of an organization: its root keys."""
        control, unknown = self.shelf.store.control, "No organization of this name is configured."
        async with self.audit.around(org_id):
            return await self._change(lambda: self.shelf.org(org_id, control), edit, act, unknown)

    async def create(self, tenant: Tenant, act: Act) -> None:
        """Write the first version of a tenant. Raises Refused(WRITE_CONFLICT) where there is a record already."""
        async with self.audit.around(tenant.id):
            await self._list_origins(tenant, ())
            if not await self._written(tenant, 0, pending(act, None, tenant, self.clock.now())):
                raise Refused(WRITE_CONFLICT)

    async def _change(self, read: Callable[[], Awaitable[R | None]], edit: Callable[[R], R], act: Act, unknown: str) -> R:
        for _ in range(_ROUNDS):
            old = await read()
            if old is None:
                raise Refused(NOT_FOUND, unknown)
            new, now = edit(old), self.clock.now()
            if new == old:
                # Who has made it so may be waiting still, or have died.
                await self._withdrawal.complete(old)
                return old
            new = replace(new, version=next_version(old.version, now), updated_at=now)
            await self._list_origins(new, _origins(old))
            if await self._written(new, old.version, pending(act, old, new, now)):
                await self._withdrawal.complete(new)
                await self._tidy(old, new)
                return new
            await asyncio.sleep(_PAUSE * random())  # noqa: S311 - spreads writers, keeps no secret
        raise Refused(WRITE_CONFLICT)

    async def _written(self, record: Record, over: int, entry: bytes) -> bool:
        try:
            return await self.shelf.write(record, over, entry)
        finally:
            self._records.forget(record)

    async def _list_origins(self, record: Record, already: tuple[str, ...]) -> None:
        # Before the record is written: an origin may be listed for nothing, but none is ever missing.
        store = self.shelf.store
        added = [origin for origin in _origins(record) if origin not in already]
        await store.control.gather([("ZADD", store.keys.origin(one), "GT", record.version, str(record.id)) for one in added])

    async def _tidy(self, old: Record, new: Record) -> None:
        """Take out of the maps what the record does not hold any more."""
        store = self.shelf.store
        digests = {key.digest for key in old.keys} - {key.digest for key in new.keys}
        stale = [*map(store.keys.widget_key, _widget_keys(old) - _widget_keys(new)), *map(store.keys.api_key, digests)]
        # The change is in force, and the record alone decides: a failure here must not tell the caller that it is not.
        with suppress(Refused):
            await store.control.gather([("DEL", key) for key in stale])
            for origin in set(_origins(old)) - set(_origins(new)):
                await store.control.run(_UNLIST, [store.keys.origin(origin)], [str(new.id), new.version])


def _origins(record: Record) -> tuple[str, ...]:
    return record.origins if isinstance(record, Tenant) else ()


def _widget_keys(record: Record) -> set[str]:
    return {key.value for key in record.widget_keys} if isinstance(record, Tenant) else set()


def _check_fixed(old: Tenant, new: Tenant) -> None:
    for name in ("id", "org", "slug", "schema", "external_ref", "created_at"):
        if getattr(old, name) != getattr(new, name):
            raise ValueError(f"a tenant's {name} never changes")
