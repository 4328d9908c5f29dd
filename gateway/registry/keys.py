"""API keys: minted, changed, rolled, revoked. They live in the record of their owner, a tenant or an organization."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self
from uuid import UUID

from gateway.errors import KEY_ENDED, NOT_FOUND, TOO_MANY_KEYS, Refused
from gateway.tenancy.credential import ApiKey, Environment
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.plan import RateLimit

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import Changes
from .key_index import NO_KEY
from .owner import Owner

_KEYS_MAX = 200
# For so long the caller of a key that has ended is told why, as far as there is room; afterwards it is as unknown as any other.
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
        await self._edit(owner, lambda keys: _with(keys, key, now), Act(self._actor, "key.created", details))
        return Minted(text, key)

    async def change(
        self, owner: Owner, key_id: str, edit: Callable[[ApiKey], ApiKey], details: Mapping[str, Json] = MappingProxyType({})
    ) -> ApiKey:
        """The key as it is after `edit`, which may run several times. `details` are for the audit trail. Raises KEY_ENDED, and
        what `edit` raises."""
        now = self._changes.clock.now()

        def changed(keys: Keyring) -> Keyring:
            new = edit(_usable(keys, key_id, now))
            return tuple(new if key.id == key_id else key for key in keys)

        act = Act(self._actor, "key.updated", {"key_id": key_id, **details})
        return _named(await self._edit(owner, changed, act), key_id)

    async def roll(
        self,
        owner: Owner,
        key_id: str,
        overlap: float,
        *,
        created_by: str,
        check: Callable[[ApiKey], None] = lambda _: None,
    ) -> Minted:
        """A new key in the place of one that ends in `overlap` seconds, or before where it would have; 0: at once. Both happen
        in one step. Raises KEY_ENDED, TOO_MANY_KEYS, and what `check` raises of the key that is rolled."""
        now = self._changes.clock.now()
        environment = _named(await self.list(owner), key_id).environment
        text, new_key_id = new_api_key(self._prefix, environment), typeid("key", new_id())

        def rolled(keys: Keyring) -> Keyring:
            old = _usable(keys, key_id, now)
            check(old)
            new = replace(
                old,
                id=new_key_id,
                digest=digest_of(text),
                prefix=f"{self._prefix}_{environment}",
                last_four=text[-4:],
                created_at=now,
                created_by=created_by,
            )
            ending = _ending(old, now, overlap)
            return _with(tuple(ending if key.id == key_id else key for key in keys), new, now)

        details: dict[str, Json] = {"key_id": key_id, "new_key_id": new_key_id, "overlap_seconds": int(overlap)}
        return Minted(text, _named(await self._edit(owner, rolled, Act(self._actor, "key.rolled", details)), new_key_id))

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
    raise Refused(NOT_FOUND, NO_KEY)


def _usable(keys: Keyring, key_id: str, now: float) -> ApiKey:
    key = _named(keys, key_id)
    if key.ended(now):
        raise Refused(KEY_ENDED)
    return key


def _ending(key: ApiKey, now: float, overlap: float) -> ApiKey:
    if overlap <= 0:
        return replace(key, revoked_at=now)
    return replace(key, expires_at=min(now + overlap, math.inf if key.expires_at is None else key.expires_at))


def _with(keys: Keyring, key: ApiKey, now: float) -> Keyring:
    """`key` in front of `keys`, without those that ended long ago; where there are too many, without the first that ended."""
    kept = [old for old in keys if not old.ended(now - _ENDED_KEPT)]
    ended = sorted((old for old in kept if old.ended(now)), key=lambda old: old.end)
    surplus = len(kept) + 1 - _KEYS_MAX
    if surplus > len(ended):
        raise Refused(TOO_MANY_KEYS, f"The owner has {len(kept) - len(ended)} keys; {_KEYS_MAX} are the most.")
    forgotten = ended[: max(surplus, 0)]
    return (key, *(old for old in kept if old not in forgotten))
