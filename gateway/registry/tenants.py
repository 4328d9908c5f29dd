"""The life of a tenant: change, rotation, suspension, archiving."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self, TypeVar
from uuid import UUID

from gateway.errors import NOT_FOUND, Refused
from gateway.store.client import Client
from gateway.store.keyspace import Keyspace
from gateway.tenancy.credential import SigningSecret, WidgetKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import new_signing_secret, new_widget_key
from gateway.tenancy.tenant import Status, Tenant

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import NO_TENANT, Changes
from .creation import Created, Creation, NewTenant, unchanged
from .lifecycle import archived, check_alive, suspended, unsuspended
from .owner import Owner, write_owner
from .reservation import Reservations

__all__ = ["Created", "NewTenant", "Tenants"]

_GRACES_MAX = 4
_STATUS_ACTIONS = {Status.ACTIVE: "unsuspended", Status.SUSPENDED: "suspended", Status.ARCHIVED: "archived"}

C = TypeVar("C", SigningSecret, WidgetKey)


def _anybodys(tenant: Tenant) -> None:
    pass


class Tenants:
    """`actor` is who makes the changes. Everything raises Refused: STORE_UNAVAILABLE, and what is named below.

    What changes something raises WRITE_NOT_DURABLE too, where the change is in force but not known to be on disk.
    """

    def __init__(self, changes: Changes, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._actor = actor
        self._shelf = changes.shelf
        self._reservations = Reservations(changes.shelf.store, changes.clock.now)

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` makes the changes."""
        return type(self)(self._changes, actor)

    async def create(self, new: NewTenant, fill: Callable[[Tenant], Tenant] = unchanged) -> Created:
        """See Creation.create."""
        return await Creation(self._changes, self._actor).create(new, fill)

    async def get(self, tenant_id: UUID) -> Tenant:
        """Raises NOT_FOUND."""
        tenant = await self._shelf.tenant(tenant_id, self._client)
        if tenant is None:
            raise Refused(NOT_FOUND, NO_TENANT)
        return tenant

    async def page(self, limit: int, offset: int = 0, org: str | None = None) -> tuple[list[Tenant], int]:
        """`limit` tenants from `offset` on, the newest first, and how many there are."""
        index = self._keys.tenants(org)
        found, total = await self._client.gather([("ZREVRANGE", index, offset, offset + limit - 1), ("ZCARD", index)])
        assert isinstance(found, list)
        assert isinstance(total, int)
        ids = [UUID(entry.decode()) for entry in found if isinstance(entry, bytes)]
        tenants = dict(zip(ids, await self._shelf.tenants(ids), strict=True))
        await self._unlist([one for one, tenant in tenants.items() if tenant is None], index)
        return [tenant for tenant in tenants.values() if tenant is not None], total

    async def reencrypt(self) -> int:
        """Store the secrets of every tenant and organization under the present key; how many had others. Retired keys can go
        afterwards.

        Secrets stored meanwhile by a process that still has the old key first are missed: change the key everywhere before.
        """
        entries = await self._client.command("ZRANGE", self._keys.tenants(), 0, -1)
        assert isinstance(entries, list)
        owners: list[Owner] = [UUID(entry.decode()) for entry in entries if isinstance(entry, bytes)]
        now = self._changes.clock.now()
        return sum([await self._shelf.reencrypt(one, now) for one in (*owners, *self._shelf.orgs)])

    async def change(self, tenant_id: UUID, edit: Callable[[Tenant], Tenant]) -> Tenant:
        """See Changes.tenant. Raises NOT_FOUND, WRITE_CONFLICT, and what `edit` raises."""
        return await self._changes.tenant(tenant_id, edit, Act(self._actor))

    async def rotate_secret(self, tenant_id: UUID, grace_seconds: float = 0) -> tuple[Tenant, str]:
        """A new signing secret. The others end with the grace, or before where they would have. Raises TENANT_IS_ARCHIVED."""
        text, now = new_signing_secret(), self._changes.clock.now()
        fresh = SigningSecret(typeid("sec", new_id()), text.encode(), now)

        def edit(tenant: Tenant) -> Tenant:
            check_alive(tenant)
            return replace(tenant, secrets=(fresh, *_ending(tenant.secrets, now, grace_seconds)))

        act = self._act("secret_rotated", {"secret_id": fresh.id, "grace_seconds": int(grace_seconds)})
        return await self._changes.tenant(tenant_id, edit, act), text

    async def rotate_widget_key(self, tenant_id: UUID, grace_seconds: float = 0) -> tuple[Tenant, str]:
        """Likewise for the widget key."""
        text, now = new_widget_key(), self._changes.clock.now()
        await self._client.command("SET", self._keys.widget_key(text), write_owner(tenant_id))

        def edit(tenant: Tenant) -> Tenant:
            check_alive(tenant)
            return replace(tenant, widget_keys=(WidgetKey(text, now), *_ending(tenant.widget_keys, now, grace_seconds)))

        act = self._act("widget_key_rotated", {"grace_seconds": int(grace_seconds)})
        return await self._changes.tenant(tenant_id, edit, act), text

    async def set_status(
        self, tenant_id: UUID, status: Status, reason: str | None = None, check: Callable[[Tenant], None] = _anybodys
    ) -> Tenant:
        """Suspend a tenant, lift that, or archive it; `reason` is kept while it is suspended. `check` raises Refused where the
        caller may not.

        Raises TENANT_IS_ARCHIVED, which is final, and TENANT_NOT_SUSPENDED where one is reactivated that is not suspended.
        """

        def edit(tenant: Tenant) -> Tenant:
            check(tenant)
            match status:
                case Status.SUSPENDED:
                    return suspended(tenant, reason)
                case Status.ACTIVE:
                    return unsuspended(tenant)
                case Status.ARCHIVED:
                    return archived(tenant)
                case _:
                    raise ValueError(f"no tenant is set {status}")

        act = self._act(_STATUS_ACTIONS[status], {} if reason is None else {"reason": reason})
        return await self._changes.tenant(tenant_id, edit, act)

    def _act(self, what: str, details: Mapping[str, Json]) -> Act:
        return Act(self._actor, f"tenant.{what}", details)

    async def _unlist(self, missing: Sequence[UUID], index: str) -> None:
        """Entries without a record are of creations that are under way, or that have died: those go."""
        dead = [str(one) for one in missing if self._reservations.expired(one)]
        if dead:
            await self._client.command("ZREM", index, *dead)

    @property
    def _keys(self) -> Keyspace:
        return self._shelf.store.keys

    @property
    def _client(self) -> Client:
        return self._shelf.store.control


def _ending(credentials: Sequence[C], now: float, grace: float) -> list[C]:
    """Those that outlive a rotation, the newest first."""
    ending = [replace(old, not_after=min(old.not_after or math.inf, now + grace)) for old in credentials]
    return [old for old in ending if old.not_after is not None and old.not_after > now][:_GRACES_MAX]
