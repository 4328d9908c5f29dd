"""Webhooks: made, listed, changed, deleted. They live in the record of their owner, a tenant or an organization."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from gateway.errors import NOT_FOUND, TOO_MANY_WEBHOOKS, Refused
from gateway.errors import Owner as AtFault
from gateway.pipeline.lookup import Record
from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.tenant import Tenant
from gateway.tenancy.webhook import Webhook

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import Changes
from .owner import Owner, read_owner, write_owner

NO_WEBHOOK = "No webhook has this id."
_MOST, _SECRETS, _SECRET_BYTES = 20, 4, 32

Hooks = tuple[Webhook, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A webhook and whose it is: a tenant's, by its id, or the organization's, by its name."""

    org: str
    owner: Owner
    webhook: Webhook

    @property
    def tenant(self) -> UUID | None:
        return self.owner if isinstance(self.owner, UUID) else None


class Webhooks:
    """`actor` makes the changes.

    Everything raises Refused: NOT_FOUND where there is no such owner or webhook, WRITE_CONFLICT, STORE_UNAVAILABLE,
    SECRETS_UNREADABLE; and WRITE_NOT_DURABLE where a change is in force but not known to be on disk.
    """

    def __init__(self, changes: Changes, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._actor = actor

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` makes the changes."""
        return type(self)(self._changes, actor)

    async def create(
        self, org: str, owner: Owner, url: str, events: tuple[str, ...] | None, description: str
    ) -> tuple[Held, str]:
        """The webhook and its secret, which is told this once. Raises TOO_MANY_WEBHOOKS too."""
        now, value = self._changes.clock.now(), secrets.token_bytes(_SECRET_BYTES)
        webhook = Webhook(typeid("whk", new_id()), url, (_secret(value, now),), now, self._actor.name, now, events, description)

        def add(hooks: Hooks) -> Hooks:
            if len(hooks) >= _MOST:
                raise Refused(TOO_MANY_WEBHOOKS, f"The owner has {len(hooks)} webhooks; {_MOST} are the most.")
            return (webhook, *hooks)

        # First: a webhook that has a record must be found.
        await self._command("ZADD", self._index(org), 0, _member(webhook.id, owner))
        details: dict[str, Json] = {"host": host_of(url), "events": None if events is None else [*events]}
        try:
            await self._edit(owner, add, "webhook.created", webhook.id, details)
        except Refused as refused:
            if refused.problem.owner is not AtFault.STORE:
                await self._command("ZREM", self._index(org), _member(webhook.id, owner))
            # Else it may be in force.
            raise
        return Held(org, owner, webhook), secret_text(value)

    async def find(self, org: str, webhook_id: str, tenant: UUID | None = None) -> Held:
        """`tenant`: the only one whose webhooks are seen; None: those of the organization and of all its tenants."""
        owner: Owner | None = tenant
        if tenant is None:
            found = await self._places("ZRANGEBYLEX", org, f"[{webhook_id} ", f"[{webhook_id} ~", 1)
            owner = found[0][1] if found else None
        record = None if owner is None else await self.record(owner)
        if owner is None or record is None:
            raise Refused(NOT_FOUND, NO_WEBHOOK)
        return Held(org, owner, _named(record.webhooks, webhook_id))

    async def page(self, org: str, limit: int, below: str | None = None) -> tuple[list[Held], str | None]:
        """Those of the organization and of all its tenants, the newest first, and the id below which the list goes on."""
        places = await self._places("ZREVRANGEBYLEX", org, "+" if below is None else f"({below} ", "-", limit + 1)
        owners = list(dict.fromkeys(owner for _, owner in places[:limit]))
        records = {owner: await self.record(owner) for owner in owners}
        found = []
        for webhook_id, owner in places[:limit]:
            record = records[owner]
            hooks = () if record is None else record.webhooks
            # One without a record is being made or deleted.
            found += [Held(org, owner, hook) for hook in hooks if hook.id == webhook_id]
        return found, places[limit - 1][0] if len(places) > limit else None

    async def record(self, owner: Owner) -> Record | None:
        shelf = self._changes.shelf
        client = shelf.store.control
        return await (shelf.tenant(owner, client) if isinstance(owner, UUID) else shelf.org(owner, client))

    async def tenants(self, ids: Sequence[UUID]) -> list[Tenant | None]:
        return await self._changes.shelf.tenants(ids)

    async def change(
        self, held: Held, edit: Callable[[Webhook], Webhook], action: str = "webhook.updated", **details: Json
    ) -> Held:
        """`edit` may run several times, and may raise Refused to end the change."""
        now = self._changes.clock.now()

        def over(hooks: Hooks) -> Hooks:
            old = _named(hooks, held.webhook.id)
            new = edit(old)
            return tuple(replace(new, updated_at=now) if hook is old and new != old else hook for hook in hooks)

        hooks = await self._edit(held.owner, over, action, held.webhook.id, details)
        return replace(held, webhook=_named(hooks, held.webhook.id))

    async def roll_secret(self, held: Held, overlap: float) -> tuple[Held, str]:
        """A new secret, which is told this once; the old ones are valid for `overlap` seconds at most."""
        now, value = self._changes.clock.now(), secrets.token_bytes(_SECRET_BYTES)
        fresh, until = _secret(value, now), now + overlap

        def edit(webhook: Webhook) -> Webhook:
            ending = [replace(old, not_after=min(old.not_after or until, until)) for old in webhook.secrets]
            kept = [old for old in ending if old.not_after is not None and old.not_after > now][: _SECRETS - 1]
            return replace(webhook, secrets=(fresh, *kept))

        rolled = await self.change(held, edit, "webhook.secret_rolled", overlap_seconds=int(overlap))
        return rolled, secret_text(value)

    async def delete(self, held: Held) -> None:
        def without(hooks: Hooks) -> Hooks:
            _named(hooks, held.webhook.id)
            return tuple(hook for hook in hooks if hook.id != held.webhook.id)

        await self._edit(held.owner, without, "webhook.deleted", held.webhook.id, {})
        # One that stays is only looked at in vain.
        with suppress(Refused):
            await self._command("ZREM", self._index(held.org), _member(held.webhook.id, held.owner))

    async def _edit(
        self, owner: Owner, edit: Callable[[Hooks], Hooks], action: str, webhook_id: str, details: dict[str, Json]
    ) -> Hooks:
        act = Act(self._actor, action, {"webhook_id": webhook_id, **details})
        if isinstance(owner, UUID):
            return (await self._changes.tenant(owner, lambda one: replace(one, webhooks=edit(one.webhooks)), act)).webhooks
        return (await self._changes.org(owner, lambda one: replace(one, webhooks=edit(one.webhooks)), act)).webhooks

    async def _places(self, command: str, org: str, one: str, other: str, count: int) -> list[tuple[str, Owner]]:
        reply = await self._command(command, self._index(org), one, other, "LIMIT", 0, count)
        assert isinstance(reply, list)
        parts = [entry.partition(b" ") for entry in reply if isinstance(entry, bytes)]
        return [(webhook.decode(), read_owner(owner)) for webhook, _, owner in parts]

    async def _command(self, *parts: str | int) -> object:
        return await self._changes.shelf.store.control.command(*parts)

    def _index(self, org: str) -> str:
        return self._changes.shelf.store.keys.webhooks(org)


def secret_text(value: bytes) -> str:
    """As receivers are given it, in the form of Standard Webhooks."""
    return f"whsec_{b64encode(value).decode()}"


def host_of(url: str) -> str:
    """What may be told of a URL where others read: the rest of it may hold a token."""
    return urlsplit(url).hostname or ""


def _secret(value: bytes, now: float) -> SigningSecret:
    return SigningSecret(typeid("sec", new_id()), value, now)


def _member(webhook_id: str, owner: Owner) -> str:
    return f"{webhook_id} {write_owner(owner)}"


def _named(hooks: Hooks, webhook_id: str) -> Webhook:
    for hook in hooks:
        if hook.id == webhook_id:
            return hook
    raise Refused(NOT_FOUND, NO_WEBHOOK)
