"""The creation of a tenant: its names are reserved first, then its record is written."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from uuid import UUID

from gateway.errors import EXTERNAL_REF_TAKEN, INVALID_BODY, SLUG_TAKEN, STORE_UNAVAILABLE, Refused
from gateway.store.keyspace import Keyspace
from gateway.tenancy.credential import SigningSecret, WidgetKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import new_signing_secret, new_widget_key
from gateway.tenancy.org import Organization
from gateway.tenancy.slug import is_slug, schema_from, slug_from
from gateway.tenancy.tenant import Status, Tenant

from .audit_entry import Act, Actor, Json
from .changes import Changes
from .owner import write_owner
from .reservation import CREATION_LIMIT, Reservations
from .shelf import next_version

_SUFFIX_LETTERS, _SUFFIX_LENGTH, _SUFFIX_TRIES = string.ascii_lowercase + string.digits, 6, 8
_SLUG_LENGTH = 48
_BY_HAND: Mapping[str, Json] = MappingProxyType({"auto": False})


@dataclass(frozen=True, slots=True)
class NewTenant:
    """`slug`: None derives one from the name, with a suffix where that is taken. `plan`: None takes the org's default.
    `handshake`: it is not served before its backend has acknowledged it; None: as the organization says."""

    org: str
    name: str
    slug: str | None = None
    external_ref: str | None = None
    plan: str | None = None
    region: str | None = None
    handshake: bool | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """The secret's text is nowhere else and can't be had again."""

    tenant: Tenant
    secret: str
    widget_key: str

    def __repr__(self) -> str:
        return f"Created({self.tenant.typeid})"


def unchanged(tenant: Tenant) -> Tenant:
    return tenant


class Creation:
    """`actor` is who creates."""

    def __init__(self, changes: Changes, actor: Actor) -> None:
        self._changes = changes
        self._actor = actor
        self._store = changes.shelf.store
        self._reservations = Reservations(self._store, changes.clock.now)

    async def create(
        self,
        new: NewTenant,
        fill: Callable[[Tenant], Tenant] = unchanged,
        tenant_id: UUID | None = None,
        details: Mapping[str, Json] = _BY_HAND,
    ) -> Created:
        """Make a tenant; `fill` sets the fields that NewTenant does not have. `tenant_id`: one that has reserved the reference
        already. `details` stand in the audit trail.

        A refusal means that there is no such tenant, but for STORE_UNAVAILABLE, which leaves it open, and WRITE_NOT_DURABLE.
        Raises SLUG_TAKEN, EXTERNAL_REF_TAKEN, INVALID_BODY (unknown organization, or no slug).
        """
        org = self._changes.shelf.orgs.get(new.org)
        if org is None:
            raise Refused(INVALID_BODY, f"No organization named {new.org!r} is configured.")
        tenant_id, started = tenant_id or new_id(), self._changes.clock.monotonic()
        taken: list[str] = []
        try:
            if new.external_ref is not None:
                taken.append(await self._reserve_ref(new.org, new.external_ref, tenant_id))
            slug = await self._reserve_slug(new, tenant_id)
            taken.append(self._keys.slug(slug))
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
        await self._changes.create(tenant, Act(self._actor, "tenant.created", details))
        return replace(created, tenant=tenant)

    def _blank(self, new: NewTenant, org: Organization, tenant_id: UUID, slug: str) -> Created:
        now = self._changes.clock.now()
        secret, widget_key = new_signing_secret(), new_widget_key()
        waits = org.handshake if new.handshake is None else new.handshake
        tenant = Tenant(
            id=tenant_id,
            org=new.org,
            slug=slug,
            schema=schema_from(slug),
            name=new.name,
            status=Status.PROVISIONING if waits else Status.ACTIVE,
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

    async def _reserve_ref(self, org: str, ref: str, tenant_id: UUID) -> str:
        key = self._keys.ref(org, ref)
        if not await self._reservations.take(key, tenant_id):
            raise Refused(EXTERNAL_REF_TAKEN, "Another tenant of the organization has this external reference.")
        return key

    async def _index(self, tenant: Tenant, widget_key: str) -> None:
        score, member = str(tenant.created_at), str(tenant.id)
        await self._store.control.gather(
            [
                ("SET", self._keys.widget_key(widget_key), write_owner(tenant.id)),
                ("ZADD", self._keys.tenants(), score, member),
                ("ZADD", self._keys.tenants(tenant.org), score, member),
            ]
        )

    @property
    def _keys(self) -> Keyspace:
        return self._store.keys


def _suffixed(slug: str) -> str:
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    return f"{slug[: _SLUG_LENGTH - _SUFFIX_LENGTH - 1].rstrip('-')}-{suffix}"
