"""API keys: minted, listed, revoked. They live in the record of their owner, a tenant or an organization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from gateway.errors import NOT_FOUND, TOO_MANY_KEYS, Refused
from gateway.errors import Owner as AtFault
from gateway.tenancy.credential import ApiKey, Environment
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.plan import RateLimit

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import Changes
from .owner import Owner, write_owner

_KEYS_MAX = 200
# Until then the caller of a key that has ended is told why; afterwards it is as unknown as any other.
_ENDED_KEPT = 90 * 86400.0

Keyring = tuple[ApiKey, ...]


@dataclass(frozen=True, slots=True)
class Minted:
    """The key's text is nowhere else and can't be had again."""

    text: str
    key: ApiKey

    def __repr__(self) -> str:
        return f"Minted({self.key.id})"


class Keys:
    """`prefix` starts the text of new keys, `actor` makes the changes. An owner is a tenant's id or an organization's name.

    Everything raises Refused: NOT_FOUND where there is no such owner or key, WRITE_CONFLICT, STORE_UNAVAILABLE; and
    WRITE_NOT_DURABLE where a change is in force but not known to be on disk.
    """

    def __init__(self, changes: Changes, prefix: str, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._prefix = prefix
        self._actor = actor

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` makes the changes."""
        return type(self)(self._changes, self._prefix, actor)

    async def mint(
        self,
        owner: Owner,
        name: str,
        scopes: frozenset[str],
        *,
        created_by: str,
        environment: Environment = "live",
        allowed_domain_ids: tuple[str, ...] | None = None,
        rate: RateLimit | None = None,
        expires_at: float | None = None,
    ) -> Minted:
        """Raises TOO_MANY_KEYS too."""
        text, now = new_api_key(self._prefix, environment), self._changes.clock.now()
        key = ApiKey(
            id=typeid("key", new_id()),
            digest=digest_of(text),
            prefix=f"{self._prefix}_{environment}",
            last_four=text[-4:],
            name=name,
            environment=environment,
            scopes=scopes,
            created_at=now,
            created_by=created_by,
            allowed_domain_ids=allowed_domain_ids,
            rate=rate,
            expires_at=expires_at,
        )

        def add(keys: Keyring) -> Keyring:
            kept = tuple(old for old in keys if not _forgotten(old, now))
            if len(kept) >= _KEYS_MAX:
                raise Refused(TOO_MANY_KEYS, f"The owner has {len(kept)} keys; {_KEYS_MAX} are the most.")
            return (key, *kept)

        details: dict[str, Json] = {
            "key_id": key.id,
            "name": name,
            "environment": environment,
            "scopes": [*sorted(scopes)],
            "created_by": created_by,
            "allowed_domain_ids": None if allowed_domain_ids is None else [*allowed_domain_ids],
            "rate_limit": None if rate is None else str(rate),
            "expires_at": None if expires_at is None else int(expires_at),
        }
        store = self._changes.shelf.store
        # First: a key that has a record must be found.
        await store.control.command("SET", store.keys.api_key(key.digest), write_owner(owner))
        try:
            await self._edit(owner, add, Act(self._actor, "key.created", details))
        except Refused as refused:
            if refused.problem.owner is AtFault.STORE:
                # The key may be in force.
                raise
            await store.control.command("DEL", store.keys.api_key(key.digest))
            raise
        return Minted(text, key)

    async def revoke(self, owner: Owner, key_id: str) -> ApiKey:
        """In force everywhere when it has returned. A key that is revoked already keeps its instant."""
        now = self._changes.clock.now()

        def edit(keys: Keyring) -> Keyring:
            _named(keys, key_id)
            return tuple(replace(key, revoked_at=key.revoked_at or now) if key.id == key_id else key for key in keys)

        act = Act(self._actor, "key.revoked", {"key_id": key_id})
        return _named(await self._edit(owner, edit, act), key_id)

    async def list(self, owner: Owner) -> Keyring:
        """The newest first, ended ones for 90 days included."""
        shelf = self._changes.shelf
        record = await (
            shelf.tenant(owner, shelf.store.control) if isinstance(owner, UUID) else shelf.org(owner, shelf.store.control)
        )
        if record is None:
            raise Refused(NOT_FOUND, "No tenant or organization has this id.")
        return record.keys

    async def _edit(self, owner: Owner, edit: Callable[[Keyring], Keyring], act: Act) -> Keyring:
        if isinstance(owner, UUID):
            return (await self._changes.tenant(owner, lambda tenant: replace(tenant, keys=edit(tenant.keys)), act)).keys
        return (await self._changes.org(owner, lambda org: replace(org, keys=edit(org.keys)), act)).keys


def _named(keys: Keyring, key_id: str) -> ApiKey:
    for key in keys:
        if key.id == key_id:
            return key
    raise Refused(NOT_FOUND, "No key has this id.")


def _forgotten(key: ApiKey, now: float) -> bool:
    ends = [instant for instant in (key.revoked_at, key.expires_at) if instant is not None]
    return bool(ends) and now - min(ends) > _ENDED_KEPT
