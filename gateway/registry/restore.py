"""Records and audit entries that were dumped, put back as they were. What is there already stays, and is no fault."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Self
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.pipeline.lookup import Record
from gateway.store.connect import Store
from gateway.tenancy.domain import Domain
from gateway.tenancy.ids import new_id
from gateway.tenancy.org import Organization
from gateway.tenancy.slug import is_slug, schema_from
from gateway.tenancy.tenant import Tenant

from .audit_entry import SYSTEM, Act, Actor, Entry, digest
from .changes import Changes
from .cipher import Cipher
from .codec import decode_org, decode_tenant
from .owner import Owner, write_owner
from .reservation import CREATION_LIMIT, Reservations

_TENANT = TypeAdapter(Tenant)
_ORG = TypeAdapter(Organization)
_OTHER_KEY = "its secrets are sealed by another key than the one given"


class Conflict(Exception):
    """It can't be put back; says why. Nothing of it was."""


class Restore:
    """`actor` is who does it. Everything raises Conflict, and Refused(STORE_UNAVAILABLE, WRITE_NOT_DURABLE)."""

    def __init__(self, changes: Changes, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._actor = actor
        self._shelf = changes.shelf
        self._reservations = Reservations(changes.shelf.store, changes.clock.now)

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` does it."""
        return type(self)(self._changes, actor)

    def read_tenant(self, tenant_id: UUID, version: int, document: bytes, cipher: Cipher) -> Tenant:
        """What `written` has written, with its secrets opened by `cipher`."""
        try:
            read = decode_tenant(tenant_id, version, document, cipher)
            tenant = _TENANT.validate_python(asdict(read))
        except Refused as refused:
            raise Conflict(_OTHER_KEY) from refused
        except (ValidationError, KeyError, TypeError, ValueError, AttributeError):
            raise Conflict("is not a tenant's record") from None
        if not is_slug(tenant.slug) or tenant.schema != schema_from(tenant.slug):
            raise Conflict("has a slug or a schema that no tenant may have")
        self._check_org(tenant.org)
        return tenant

    def read_org(self, name: str, version: int, document: bytes, cipher: Cipher) -> Organization:
        self._check_org(name)
        try:
            read = decode_org(self._shelf.orgs[name], version, document, cipher)
            return _ORG.validate_python(asdict(read))
        except Refused as refused:
            raise Conflict(_OTHER_KEY) from refused
        except (ValidationError, KeyError, TypeError, ValueError, AttributeError):
            raise Conflict("is not an organization's record") from None

    async def tenant(self, tenant: Tenant) -> bool:
        """Whether it was missing."""
        there = await self._shelf.tenant(tenant.id, self._store.control)
        if there is not None:
            _check_same(there, tenant)
            for key in self._names(tenant).values():
                # Who has put it back may have died before this.
                await self._reservations.take(key, tenant.id)
            return False
        # In a name of its own: an id that is as old as the tenant's would look like that of a creation that has died.
        tenant = replace(tenant, domains=_unproved(tenant.domains))
        started, holder, taken = self._changes.clock.monotonic(), new_id(), list[str]()
        names = self._names(tenant)
        try:
            for name, key in names.items():
                if not await self._reservations.take(key, holder) and not await self._holds(key, tenant.id):
                    raise Conflict(f"another tenant has its {name}")
                taken.append(key)
            await self._list(tenant)
            if self._changes.clock.monotonic() - started > CREATION_LIMIT:
                raise Refused(STORE_UNAVAILABLE, "The restoring took too long.", retry_after=1)
            await self._changes.create(tenant, Act(self._actor, "tenant.created", {"auto": False, "imported": True}))
        except Conflict:
            for key in taken:
                await self._reservations.give_back(key, holder)
            raise
        for key in names.values():
            await self._reservations.hand_over(key, holder, tenant.id)
        return True

    async def org(self, org: Organization) -> bool:
        """Whether nothing was stored of it."""
        there = await self._shelf.org(org.id, self._store.control)
        if there is not None and there.version:
            _check_same(there, org)
            return False
        org = replace(org, domains=_unproved(org.domains))
        await self._list_domains(org.id, org.id, org.domains)
        await self._changes.create(org, Act(self._actor, "org.updated", {"imported": True}))
        return True

    async def entry(self, org: str, entry: Entry) -> bool:
        """Whether it was missing: it has to be the next one of the trail, or there."""
        self._check_org(org)
        if digest(entry.text) != entry.hash or entry.fields().get("org") != org:
            raise Conflict("the audit entry is not as it was written")
        restored = await self._changes.audit.restore(org, entry)
        if restored is None:
            raise Conflict("the organization's audit trail has other entries")
        return restored

    def _names(self, tenant: Tenant) -> dict[str, str]:
        """What only one tenant may have, and the place of its reservation."""
        keys = self._store.keys
        names = {"slug": keys.slug(tenant.slug)}
        if tenant.external_ref is not None:
            names["external_ref"] = keys.ref(tenant.org, tenant.external_ref)
        return names

    async def _list(self, tenant: Tenant) -> None:
        """Before it is there, so that it is never missing."""
        keys, owner = self._store.keys, write_owner(tenant.id)
        commands: list[tuple[str, ...]] = [("SET", keys.widget_key(key.value), owner) for key in tenant.widget_keys]
        score, member = str(tenant.created_at), str(tenant.id)
        commands += [("ZADD", index, score, member) for index in (keys.tenants(), keys.tenants(tenant.org))]
        await self._store.control.gather(commands)
        await self._list_domains(tenant.org, tenant.id, tenant.domains)

    async def _list_domains(self, org: str, owner: Owner, domains: Iterable[Domain]) -> None:
        index = self._store.keys.domains(org)
        await self._store.control.gather([("ZADD", index, "0", f"{one.id} {write_owner(owner)}") for one in domains])

    async def _holds(self, key: str, tenant_id: UUID) -> bool:
        return await self._store.control.command("GET", key) == str(tenant_id).encode()

    def _check_org(self, org: str) -> None:
        if org not in self._shelf.orgs:
            raise Conflict(f"no organization named {org!r} is configured")

    @property
    def _store(self) -> Store:
        return self._shelf.store


def _unproved(domains: Iterable[Domain]) -> tuple[Domain, ...]:
    """Somebody else may have proved them since; the records that prove them still stand in the DNS."""
    return tuple(replace(one, verified_at=None) for one in domains)


def _check_same(there: Record, told: Record) -> None:
    if there.version != told.version:
        raise Conflict("it is there already, and has been changed since")
