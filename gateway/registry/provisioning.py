"""Tenants that the first request with their reference makes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace

from gateway.errors import TENANT_AUTO_CREATE_RATE_LIMITED, TENANT_PROVISIONING, Refused
from gateway.pipeline.lookup import TenantByRef
from gateway.pipeline.question import Provide, Provided
from gateway.store.script import Script
from gateway.tenancy.ids import new_id
from gateway.tenancy.tenant import Tenant

from .audit_entry import Actor, Json
from .changes import Changes
from .creation import Creation, NewTenant
from .records import Records
from .reservation import Reservations
from .withdrawal import Pause

_COUNT = Script.load("gateway.registry", "auto_create")
_CREATIONS, _WINDOW_MS = 60, 60_000
_PATIENCE, _PAUSE, _LONGEST_PAUSE = 2.0, 0.02, 0.2


class Provisioning:
    """However many requests name a reference for the first time at once, on any number of workers, one makes the tenant and the
    others find it. `pause` waits for some seconds."""

    def __init__(self, changes: Changes, records: Records, pause: Pause = asyncio.sleep) -> None:
        self._changes = changes
        self._records = records
        self._pause = pause
        self._store = changes.shelf.store
        self._reservations = Reservations(self._store, changes.clock.now)
        self._running: dict[TenantByRef, asyncio.Task[Provided]] = {}

    async def provide(self, asked: Provide) -> Provided:
        """The tenant with the reference, made where there is none. What has begun goes on also when nobody waits for it any
        more: a reference that was left half made would be closed to everybody for a minute.

        Raises Refused: TENANT_AUTO_CREATE_RATE_LIMITED, TENANT_PROVISIONING where another worker does not come to an end with
        it, and what Creation.create raises."""
        running = self._running.get(asked.ref)
        if running is not None:
            return replace(await asyncio.shield(running), created=False)
        task = self._running[asked.ref] = asyncio.create_task(self._provide(asked))
        task.add_done_callback(lambda done: self._ended(asked.ref, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what has begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _ended(self, ref: TenantByRef, task: asyncio.Task[Provided]) -> None:
        del self._running[ref]
        # Whoever has asked may be gone: then nobody else looks at it.
        if not task.cancelled():
            task.exception()

    async def _provide(self, asked: Provide) -> Provided:
        ref, pause = asked.ref, _PAUSE
        key, until = self._store.keys.ref(ref.org, ref.ref), self._changes.clock.monotonic() + _PATIENCE
        while True:
            tenant_id = new_id()
            if await self._reservations.take(key, tenant_id):
                # Only who is about to create is counted: the others that ask at the same time use nothing up.
                try:
                    await self._count(ref.org)
                except Refused:
                    await self._reservations.give_back(key, tenant_id)
                    raise
                details: Mapping[str, Json] = {"auto": True, "ref": ref.ref}
                creation = Creation(self._changes, Actor(asked.by, asked.request_id))
                new = NewTenant(ref.org, ref.ref, external_ref=ref.ref)
                return Provided((await creation.create(new, tenant_id=tenant_id, details=details)).tenant, created=True)
            found = await self._records.resolve(ref)
            if isinstance(found, Tenant):
                return Provided(found, created=False)
            if self._changes.clock.monotonic() > until:
                raise Refused(TENANT_PROVISIONING, "Another request is still making the tenant.", retry_after=1)
            await self._pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _count(self, org: str) -> None:
        wait = await self._store.control.run(_COUNT, [self._store.keys.auto_creations(org)], [_CREATIONS, _WINDOW_MS])
        assert isinstance(wait, int)
        if wait:
            raise Refused(
                TENANT_AUTO_CREATE_RATE_LIMITED,
                f"An organization's requests make {_CREATIONS} tenants a minute at most.",
                retry_after=math.ceil(wait / 1000),
            )
