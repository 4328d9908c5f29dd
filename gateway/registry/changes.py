"""Changing a record: read it, edit the value, write it over the version that was read, again where somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import random
from typing import TypeVar
from uuid import UUID

from gateway.clock import Clock
from gateway.errors import NOT_FOUND, WRITE_CONFLICT, Refused
from gateway.pipeline.lookup import Record
from gateway.store.keyspace import record_tag
from gateway.store.script import Script
from gateway.store.wire import Part
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.org import Organization
from gateway.tenancy.search import entries_of
from gateway.tenancy.tenant import Tenant

from .audit import Audit
from .audit_entry import Act, pending
from .key_index import entry_of
from .owner import write_owner
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

    async def create(self, record: Record, act: Act) -> None:
        """Write the first version of a record. Raises Refused(WRITE_CONFLICT) where there is one already."""
        async with self.audit.around(record.id):
            await self._index(record, None)
            if not await self._written(record, 0, pending(act, None, record, self.clock.now())):
                raise Refused(WRITE_CONFLICT)
            if isinstance(record, Organization):
                # It may be leased as one without keys.
                await self._withdrawal.complete(record)

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
            await self._index(new, old)
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

    async def _index(self, new: Record, old: Record | None) -> None:
        # Before the record is written: something may be in the maps for nothing, but nothing that has a record is ever missing.
        keys = self.shelf.store.keys
        commands: list[tuple[Part, ...]] = []
        for key in _without(new.keys, old):
            commands.append(("SET", keys.api_key(key.digest), write_owner(new.id)))
            commands.append(("ZADD", keys.keys(_org_of(new)), 0, entry_of(key.id, new.id)))
        added = set(_origins(new)) - set(() if old is None else _origins(old))
        commands += [("ZADD", keys.origin(origin), "GT", new.version, str(new.id)) for origin in added]
        commands += self._listing(new, _entries(new) - (frozenset() if old is None else _entries(old)))
        await self.shelf.store.control.gather(commands)

    def _listing(self, record: Record, entries: frozenset[str]) -> list[tuple[Part, ...]]:
        scored: list[Part] = [part for entry in entries for part in (0, _member(entry, record))]
        return [("ZADD", self.shelf.store.keys.words(_org_of(record)), *scored)] if entries else []

    async def _tidy_entries(self, old: Record, new: Record) -> None:
        before, after, control = _entries(old), _entries(new), self.shelf.store.control
        if before - after:
            stale = [_member(entry, new) for entry in before - after]
            await control.command("ZREM", self.shelf.store.keys.words(_org_of(new)), *stale)
        if before != after and isinstance(new, Tenant):
            # Another change may have listed one of these anew just before.
            present = await self.shelf.tenant(new.id, control)
            if present is not None:
                await control.gather(self._listing(present, _entries(present)))

    async def _tidy(self, old: Record, new: Record) -> None:
        """Take out of the maps what the record does not hold any more."""
        keys, control = self.shelf.store.keys, self.shelf.store.control
        gone = _without(old.keys, new)
        commands: list[tuple[Part, ...]] = [("DEL", keys.widget_key(one)) for one in _widget_keys(old) - _widget_keys(new)]
        commands += [("DEL", keys.api_key(key.digest)) for key in gone]
        for key in gone:
            commands.append(("ZREM", keys.keys(_org_of(old)), entry_of(key.id, old.id)))
            commands.append(("HDEL", keys.last_used(record_tag(old.id)), key.id))
        # The change is in force, and the record alone decides: a failure here must not tell the caller that it is not.
        with suppress(Refused):
            await control.gather(commands)
            await self._tidy_entries(old, new)
            for origin in set(_origins(old)) - set(_origins(new)):
                await control.run(_UNLIST, [keys.origin(origin)], [str(new.id), new.version])


def _org_of(record: Record) -> str:
    return record.org if isinstance(record, Tenant) else record.id


def _without(keys: Sequence[ApiKey], other: Record | None) -> list[ApiKey]:
    """Those that `other` does not have."""
    there = set() if other is None else {key.digest for key in other.keys}
    return [key for key in keys if key.digest not in there]


def _origins(record: Record) -> tuple[str, ...]:
    return record.origins if isinstance(record, Tenant) else ()


def _entries(record: Record) -> frozenset[str]:
    return entries_of(record) if isinstance(record, Tenant) else frozenset()


def _member(entry: str, record: Record) -> str:
    return f"{entry}\0{record.id}"


def _widget_keys(record: Record) -> set[str]:
    return {key.value for key in record.widget_keys} if isinstance(record, Tenant) else set()


def _check_fixed(old: Tenant, new: Tenant) -> None:
    for name in ("id", "org", "slug", "schema", "external_ref", "created_at"):
        if getattr(old, name) != getattr(new, name):
            raise ValueError(f"a tenant's {name} never changes")
