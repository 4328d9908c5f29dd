"""The life of a tenant: creation, change, rotation, suspension, archiving."""

from __future__ import annotations

import math
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar
from uuid import UUID

from gateway.errors import (
    EXTERNAL_REF_TAKEN,
    INVALID_BODY,
    NOT_FOUND,
    SLUG_TAKEN,
    STORE_UNAVAILABLE,
    TENANT_IS_ARCHIVED,
    TENANT_NOT_SUSPENDED,
    Refused,
)
from gateway.store.client import Client
from gateway.store.keyspace import Keyspace
from gateway.tenancy.credential import SigningSecret, WidgetKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import new_signing_secret, new_widget_key
from gateway.tenancy.org import Organization
from gateway.tenancy.slug import is_slug, schema_from, slug_from
from gateway.tenancy.tenant import Status, Tenant

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import NO_TENANT, Changes
from .owner import write_owner
from .reservation import CREATION_LIMIT, Reservations
from .shelf import next_version

_SUFFIX_LETTERS, _SUFFIX_LENGTH, _SUFFIX_TRIES = string.ascii_lowercase + string.digits, 6, 8
_SLUG_LENGTH = 48
_GRACES_MAX = 4
_STATUS_ACTIONS = {Status.ACTIVE: "unsuspended", Status.SUSPENDED: "suspended", Status.ARCHIVED: "archived"}

C = TypeVar("C", SigningSecret, WidgetKey)


@dataclass(frozen=True, slots=True)
class NewTenant:
    """`slug`: None derives one from the name, with a suffix where that is taken. `plan`: None takes the org's default."""

    org: str
    name: str
    slug: str | None = None
    external_ref: str | None = None
    plan: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The secret's text is nowhere else and can't be had again."""

    tenant: Tenant
    secret: str
    widget_key: str

    def __repr__(self) -> str:
        return f"Created({self.tenant.typeid})"


def _unchanged(tenant: Tenant) -> Tenant:
    return tenant


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

    async def create(self, new: NewTenant, fill: Callable[[Tenant], Tenant] = _unchanged) -> Created:
        """Make a tenant; `fill` sets the fields that NewTenant does not have.

        A refusal means that there is no such tenant, but for STORE_UNAVAILABLE, which leaves it open, and WRITE_NOT_DURABLE.
        Raises SLUG_TAKEN, EXTERNAL_REF_TAKEN, INVALID_BODY (unknown organization, or no slug).
        """
        org = self._shelf.orgs.get(new.org)
        if org is None:
            raise Refused(INVALID_BODY, f"No organization named {new.org!r} is configured.")
        tenant_id, started = new_id(), self._changes.clock.monotonic()
        taken: list[str] = []
        try:
            slug = await self._reserve_slug(new, tenant_id)
            taken.append(self._keys.slug(slug))
            if new.external_ref is not None:
                await self._reserve_ref(new.org, new.external_ref, tenant_id)
                taken.append(self._keys.ref(new.org, new.external_ref))
            created = self._blank(new, org, tenant_id, slug)
            tenant = fill(created.tenant)
            await self._index(tenant, created.widget_key)
            if self._changes.clock.monotonic() - started > CREATION_LIMIT:
                # Somebody may have taken the reservations over.
                raise Refused(STORE_UNAVAILABLE, "The creation took too long.", retry_after=1)
        except Exception:
            for key in taken:
                await self._reservations.give_back(key, tenant_id)
            raise
        await self._changes.create(tenant, self._act("created", {"auto": False}))
        return replace(created, tenant=tenant)

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
        """Store every tenant's secrets under the present key; how many tenants had others. Retired keys can go afterwards.

        Secrets stored meanwhile by a process that still has the old key first are missed: change the key everywhere before.
        """
        entries = await self._client.command("ZRANGE", self._keys.tenants(), 0, -1)
        assert isinstance(entries, list)
        ids = [UUID(entry.decode()) for entry in entries if isinstance(entry, bytes)]
        now = self._changes.clock.now()
        return sum([await self._shelf.reencrypt(one, now) for one in ids])

    async def change(self, tenant_id: UUID, edit: Callable[[Tenant], Tenant]) -> Tenant:
        """See Changes.tenant. Raises NOT_FOUND, WRITE_CONFLICT, and what `edit` raises."""
        return await self._changes.tenant(tenant_id, edit, Act(self._actor))

    async def rotate_secret(self, tenant_id: UUID, grace_seconds: float = 0) -> tuple[Tenant, str]:
        """A new signing secret. The others end with the grace, or before where they would have. Raises TENANT_IS_ARCHIVED."""
        text, now = new_signing_secret(), self._changes.clock.now()
        fresh = SigningSecret(typeid("sec", new_id()), text.encode(), now)

        def edit(tenant: Tenant) -> Tenant:
            _check_alive(tenant)
            return replace(tenant, secrets=(fresh, *_ending(tenant.secrets, now, grace_seconds)))

        act = self._act("secret_rotated", {"secret_id": fresh.id, "grace_seconds": int(grace_seconds)})
        return await self._changes.tenant(tenant_id, edit, act), text

    async def rotate_widget_key(self, tenant_id: UUID, grace_seconds: float = 0) -> tuple[Tenant, str]:
        """Likewise for the widget key."""
        text, now = new_widget_key(), self._changes.clock.now()
        await self._client.command("SET", self._keys.widget_key(text), write_owner(tenant_id))

        def edit(tenant: Tenant) -> Tenant:
            _check_alive(tenant)
            return replace(tenant, widget_keys=(WidgetKey(text, now), *_ending(tenant.widget_keys, now, grace_seconds)))

        act = self._act("widget_key_rotated", {"grace_seconds": int(grace_seconds)})
        return await self._changes.tenant(tenant_id, edit, act), text

    async def set_status(self, tenant_id: UUID, status: Status, reason: str | None = None) -> Tenant:
        """Move a tenant to `status`; `reason` is kept while it is suspended. To the status that it has: nothing happens.

        Raises TENANT_IS_ARCHIVED, which is final, and TENANT_NOT_SUSPENDED where one is reactivated that is not suspended.
        """

        def edit(tenant: Tenant) -> Tenant:
            if status is Status.ARCHIVED and tenant.status is Status.ARCHIVED:
                return tenant
            _check_alive(tenant)
            if status is Status.ACTIVE and tenant.status is not Status.SUSPENDED:
                raise Refused(TENANT_NOT_SUSPENDED)
            kept = reason if status is Status.SUSPENDED else None
            return replace(tenant, status=status, profile=replace(tenant.profile, suspend_reason=kept))

        act = self._act(_STATUS_ACTIONS.get(status, "updated"), {} if reason is None else {"reason": reason})
        return await self._changes.tenant(tenant_id, edit, act)

    def _act(self, what: str, details: Mapping[str, Json]) -> Act:
        return Act(self._actor, f"tenant.{what}", details)

    def _blank(self, new: NewTenant, org: Organization, tenant_id: UUID, slug: str) -> Created:
        now = self._changes.clock.now()
        secret, widget_key = new_signing_secret(), new_widget_key()
        tenant = Tenant(
            id=tenant_id,
            org=new.org,
            slug=slug,
            schema=schema_from(slug),
            name=new.name,
            status=Status.ACTIVE,
            plan=new.plan or org.default_plan,
            version=next_version(0, now),
            created_at=now,
            updated_at=now,
            external_ref=new.external_ref,
            region=new.region,
            secrets=(SigningSecret(typeid("sec", new_id()), secret.encode(), now),),
            widget_keys=(WidgetKey(widget_key, now),),
        )
        return Created(tenant, secret, widget_key)

    async def _reserve_slug(self, new: NewTenant, tenant_id: UUID) -> str:
        if new.slug is not None:
            if not is_slug(new.slug):
                raise Refused(
                    INVALID_BODY, "A slug is 1 to 48 lower-case letters, digits and inner hyphens, and no reserved name."
                )
            if not await self._reservations.take(self._keys.slug(new.slug), tenant_id):
                raise Refused(SLUG_TAKEN, f"Another tenant has the slug {new.slug!r}.")
            return new.slug
        derived = slug_from(new.name)
        if derived and await self._reservations.take(self._keys.slug(derived), tenant_id):
            return derived
        for _ in range(_SUFFIX_TRIES):
            slug = _suffixed(derived or "tenant")
            if await self._reservations.take(self._keys.slug(slug), tenant_id):
                return slug
        raise Refused(SLUG_TAKEN, "No free slug was found; choose one.")

    async def _reserve_ref(self, org: str, ref: str, tenant_id: UUID) -> None:
        if not await self._reservations.take(self._keys.ref(org, ref), tenant_id):
            raise Refused(EXTERNAL_REF_TAKEN, "Another tenant of the organization has this external reference.")

    async def _index(self, tenant: Tenant, widget_key: str) -> None:
        score, member = str(tenant.created_at), str(tenant.id)
        await self._client.gather(
            [
                ("SET", self._keys.widget_key(widget_key), write_owner(tenant.id)),
                ("ZADD", self._keys.tenants(), score, member),
                ("ZADD", self._keys.tenants(tenant.org), score, member),
            ]
        )

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


def _check_alive(tenant: Tenant) -> None:
    if tenant.status is Status.ARCHIVED:
        raise Refused(TENANT_IS_ARCHIVED)


def _ending(credentials: Sequence[C], now: float, grace: float) -> list[C]:
    """Those that outlive a rotation, the newest first."""
    ending = [replace(old, not_after=min(old.not_after or math.inf, now + grace)) for old in credentials]
    return [old for old in ending if old.not_after is not None and old.not_after > now][:_GRACES_MAX]


def _suffixed(slug: str) -> str:
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    return f"{slug[: _SLUG_LENGTH - _SUFFIX_LENGTH - 1].rstrip('-')}-{suffix}"
