"""Names of domains that are proved: each has one owner, who is found by it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from gateway.clock import Clock
from gateway.errors import DOMAIN_TAKEN, STORE_UNAVAILABLE, Refused
from gateway.store.script import Script
from gateway.tenancy.domain import verified

from .owner import Owner, read_owner, write_owner
from .reservation import CREATION_LIMIT
from .shelf import Shelf

_SWAP = Script.load("gateway.registry", "swap")
# Seconds. Whoever has taken a name writes its record long before, or gives up.
_ABANDONED = 2 * CREATION_LIMIT


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that was taken, for the owner's record to say so."""

    clock: Clock
    taken_at: float

    def check(self) -> None:
        """Before the record is written: somebody may have taken the name over since. Raises Refused(STORE_UNAVAILABLE)."""
        if self.clock.monotonic() - self.taken_at > CREATION_LIMIT:
            raise Refused(STORE_UNAVAILABLE, "The change took too long.", retry_after=1)


class Names:
    """Taken before the record is written, like every name that only one may have; the record alone says that it is held. A name
    without a record behind it was given up, or its taker is about to write."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock

    async def take(self, name: str, owner: Owner) -> Claim:
        """Raises Refused(DOMAIN_TAKEN)."""
        claim = Claim(self._clock, self._clock.monotonic())
        key, wanted = self._shelf.store.keys.domain(name), write_holder(owner, self._clock.now())
        control = self._shelf.store.control
        if await control.command("SET", key, wanted, "NX") is not None:
            return claim
        held = await control.command("GET", key)
        if isinstance(held, bytes) and await self._may_replace(name, held, owner):
            swapped = await control.run(_SWAP, [key], [held, wanted])
            if swapped == 1:
                return claim
        raise Refused(DOMAIN_TAKEN, "Somebody else has proved that this domain is theirs.")

    async def give_back(self, name: str, owner: Owner, verified_at: float) -> None:
        """The owner's record, which said so since `verified_at`, does not any more."""
        key, control = self._shelf.store.keys.domain(name), self._shelf.store.control
        held = await control.command("GET", key)
        if not isinstance(held, bytes):
            return
        holder, since = read_holder(held)
        # The owner may have taken it anew meanwhile.
        if holder == owner and since <= verified_at:
            await control.run(_SWAP, [key], [held, ""])

    async def _may_replace(self, name: str, held: bytes, owner: Owner) -> bool:
        holder, since = read_holder(held)
        if holder == owner:
            return True
        if self._clock.now() - since <= _ABANDONED:
            return False
        control = self._shelf.store.control
        record = await (self._shelf.tenant(holder, control) if isinstance(holder, UUID) else self._shelf.org(holder, control))
        return record is None or verified(record.domains, name) is None


def write_holder(owner: Owner, now: float) -> str:
    return f"{write_owner(owner)} {now!r}"


def read_holder(text: bytes) -> tuple[Owner, float]:
    """Who has the name, and since when, in seconds since 1970."""
    owner, _, since = text.partition(b" ")
    return read_owner(owner), float(since)
