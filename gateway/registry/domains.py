"""Internet domains: claimed, proved by DNS, deleted. They live in the record of their owner, a tenant or an organization."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from gateway.errors import (
    DOMAIN_NOT_VERIFIED,
    DOMAIN_TAKEN,
    NOT_FOUND,
    RATE_LIMITED,
    TENANT_IS_ARCHIVED,
    TOO_MANY_DOMAINS,
    Refused,
)
from gateway.errors import Owner as AtFault
from gateway.store.client import Client
from gateway.store.keyspace import Keyspace
from gateway.store.script import Script
from gateway.tenancy.domain import DOMAINS_MAX, Domain, new_token
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.tenant import Status, Tenant

from .audit_entry import SYSTEM, Act, Actor
from .changes import Changes
from .domain_name import Names
from .owner import Owner, read_owner, write_owner
from .proof import Proof

_COUNT = Script.load("gateway.registry", "count")
_CHECKS, _CHECKS_WINDOW_MS = 10, 60_000
# Of what a stranger has put into the DNS.
_SHOWN, _LONGEST_SHOWN = 5, 100

NO_DOMAIN = "No domain has this id."

Held = tuple[Domain, ...]


@dataclass(frozen=True, slots=True)
class Owned:
    owner: Owner
    domain: Domain


class Domains:
    """`actor` makes the changes. An owner is a tenant's id or an organization's name.

    Everything raises Refused: NOT_FOUND where there is no such owner or domain, STORE_UNAVAILABLE; and changes WRITE_CONFLICT,
    WRITE_NOT_DURABLE.
    """

    def __init__(self, changes: Changes, proof: Proof, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._proof = proof
        self._actor = actor
        self._names = Names(changes.shelf, changes.clock)

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` makes the changes."""
        return type(self)(self._changes, self._proof, actor)

    async def create(self, org: str, owner: Owner, name: str) -> Domain:
        """A claim, which counts for nothing yet; others may claim the same name. `org` is the owner's.

        Raises DOMAIN_TAKEN where the owner has it already, TOO_MANY_DOMAINS, TENANT_IS_ARCHIVED.
        """
        domain = Domain(typeid("dom", new_id()), name, new_token(), self._changes.clock.now())

        def edit(held: Held) -> Held:
            for other in held:
                if other.name == name:
                    raise Refused(DOMAIN_TAKEN, f"It is there already, as {other.id}.")
            if len(held) >= DOMAINS_MAX:
                raise Refused(TOO_MANY_DOMAINS, f"There may be {DOMAINS_MAX}.")
            return (domain, *held)

        # Before the record: one may be listed for nothing, but none is ever missing.
        entry = f"{domain.id} {write_owner(owner)}"
        await self._client.command("ZADD", self._keys.domains(org), 0, entry)
        try:
            await self._edit(owner, edit, self._act("created", domain), alive=True)
        except Refused as refused:
            # Where the store has failed it may be there.
            if refused.problem.owner is not AtFault.STORE:
                await self._client.command("ZREM", self._keys.domains(org), entry)
            raise
        return domain

    async def held_by(self, owner: Owner) -> Held:
        """The newest first."""
        shelf = self._changes.shelf
        record = await (shelf.tenant(owner, self._client) if isinstance(owner, UUID) else shelf.org(owner, self._client))
        if record is None:
            raise Refused(NOT_FOUND, NO_DOMAIN)
        return record.domains

    async def find(self, org: str, domain_id: str) -> Owned:
        """A domain of the organization or of any of its tenants."""
        owned = await self._owned(_entries(await self._client.command(*self._entry_of(org, domain_id))))
        if not owned:
            raise Refused(NOT_FOUND, NO_DOMAIN)
        return owned[0]

    async def usable(self, org: str, owner: Owner, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that a key of this owner can be for: its own domains and its organization's; of an organization's key,
        those of all its tenants, too."""
        found = await self._client.gather([self._entry_of(org, one) for one in dict.fromkeys(ids)])
        owned = await self._owned([entry for reply in found for entry in _entries(reply)])
        return {one.domain.id for one in owned if owner == org or one.owner in (owner, org)}

    async def page(self, org: str, limit: int, below: str | None = None) -> tuple[list[Owned], str | None]:
        """At most `limit` domains of the organization and its tenants, the newest first, below the id `below`; and where the
        list goes on. Of a creation that has failed there is an entry without a record: such a page has fewer."""
        top = "+" if below is None else f"({below} "
        found = await self._client.command("ZREVRANGEBYLEX", self._keys.domains(org), top, "-", "LIMIT", 0, limit + 1)
        entries = _entries(found)
        return await self._owned(entries[:limit]), entries[limit - 1][0] if len(entries) > limit else None

    async def verify(self, owner: Owner, domain_id: str) -> Domain:
        """Look for the proof; in force when it has returned.

        Raises DOMAIN_NOT_VERIFIED, DOMAIN_TAKEN where somebody else has proved the same, RATE_LIMITED, RESOLVER_UNAVAILABLE.
        """
        domain = _named(await self.held_by(owner), domain_id)
        if domain.verified_at is not None:
            return domain
        await self._check_pace(domain)
        found = await self._proof.texts(domain.record_name)
        if domain.record_value not in found:
            raise Refused(DOMAIN_NOT_VERIFIED, _missing(domain, found))
        claim = await self._names.take(domain.name, owner)

        def edit(held: Held) -> Held:
            _named(held, domain_id)
            claim.check()
            now = self._changes.clock.now()
            return tuple(replace(one, verified_at=now) if one.id == domain_id else one for one in held)

        return _named(await self._edit(owner, edit, self._act("verified", domain), alive=True), domain_id)

    async def delete(self, org: str, owner: Owner, domain_id: str) -> Domain:
        """It allows nothing any more, anywhere, when it has returned."""
        domain = _named(await self.held_by(owner), domain_id)

        def edit(held: Held) -> Held:
            nonlocal domain
            domain = _named(held, domain_id)
            return tuple(one for one in held if one.id != domain_id)

        await self._edit(owner, edit, self._act("deleted", domain))
        # The change is in force, and the record alone decides: a failure here must not tell the caller that it is not.
        with suppress(Refused):
            await self._client.command("ZREM", self._keys.domains(org), f"{domain_id} {write_owner(owner)}")
            if domain.verified_at is not None:
                await self._names.give_back(domain.name, owner, domain.verified_at)
        return domain

    def _entry_of(self, org: str, domain_id: str) -> tuple[str | int, ...]:
        """The command that finds a domain's entry by its id."""
        return "ZRANGEBYLEX", self._keys.domains(org), f"[{domain_id} ", f"({domain_id}!", "LIMIT", 0, 1

    async def _check_pace(self, domain: Domain) -> None:
        """Each check is a question to strangers' servers."""
        counted = await self._client.run(_COUNT, [self._keys.domain_checks(domain.id)], [_CHECKS_WINDOW_MS])
        assert isinstance(counted, list)
        number, left = counted
        assert isinstance(number, int)
        assert isinstance(left, int)
        if number > _CHECKS:
            raise Refused(RATE_LIMITED, f"A domain is checked {_CHECKS} times a minute.", retry_after=max(1, left / 1000))

    async def _edit(self, owner: Owner, edit: Callable[[Held], Held], act: Act, *, alive: bool = False) -> Held:
        if not isinstance(owner, UUID):
            return (await self._changes.org(owner, lambda org: replace(org, domains=edit(org.domains)), act)).domains

        def changed(tenant: Tenant) -> Tenant:
            if alive and tenant.status is Status.ARCHIVED:
                raise Refused(TENANT_IS_ARCHIVED)
            return replace(tenant, domains=edit(tenant.domains))

        return (await self._changes.tenant(owner, changed, act)).domains

    async def _owned(self, entries: Sequence[tuple[str, Owner]]) -> list[Owned]:
        """Those of `entries` that their owners' records hold."""
        shelf = self._changes.shelf
        tenants = list({owner: None for _, owner in entries if isinstance(owner, UUID)})
        held: dict[Owner, Held] = {tenant.id: tenant.domains for tenant in await shelf.tenants(tenants) if tenant is not None}
        for owner in {owner for _, owner in entries if isinstance(owner, str)}:
            held[owner] = await self.held_by(owner)
        known = {(domain.id, owner): domain for owner, domains in held.items() for domain in domains}
        return [Owned(entry[1], known[entry]) for entry in entries if entry in known]

    def _act(self, what: str, domain: Domain) -> Act:
        return Act(self._actor, f"domain.{what}", {"domain_id": domain.id, "domain": domain.name})

    @property
    def _keys(self) -> Keyspace:
        return self._changes.shelf.store.keys

    @property
    def _client(self) -> Client:
        return self._changes.shelf.store.control


def _entries(reply: object) -> list[tuple[str, Owner]]:
    assert isinstance(reply, list)
    parted = [entry.split(b" ", 1) for entry in reply if isinstance(entry, bytes)]
    return [(domain.decode(), read_owner(owner)) for domain, owner in parted]


def _named(held: Held, domain_id: str) -> Domain:
    for domain in held:
        if domain.id == domain_id:
            return domain
    raise Refused(NOT_FOUND, NO_DOMAIN)


def _missing(domain: Domain, found: Sequence[str]) -> str:
    if not found:
        return f"There is no TXT record at {domain.record_name}."
    shown = ", ".join(repr(text[:_LONGEST_SHOWN]) for text in found[:_SHOWN])
    return f"At {domain.record_name} there is {shown}{' …' if len(found) > _SHOWN else ''}, and not the value of `record`."
