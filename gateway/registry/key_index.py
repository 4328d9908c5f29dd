"""Where the API keys of an organization and its tenants are: by id, and from the newest to the oldest.

An entry is a key's id and its owner. Ids begin with the time, so entries lie in the order of the keys. An entry may stand for a
key that is in no record yet, or in none any more; the record alone decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.errors import NOT_FOUND, Refused
from gateway.pipeline.lookup import Record
from gateway.store.client import Client
from gateway.store.wire import Reply
from gateway.tenancy.credential import ApiKey

from .owner import Owner, read_owner, write_owner
from .shelf import Shelf

NO_KEY = "No key has this id."


@dataclass(frozen=True, slots=True)
class OwnedKey:
    owner: Owner
    key: ApiKey


def entry_of(key_id: str, owner: Owner) -> str:
    return f"{key_id} {write_owner(owner)}"


class KeyIndex:
    """Everything raises Refused(STORE_UNAVAILABLE); reading a tenant's record raises Refused(SECRETS_UNREADABLE) too."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def find(self, org: str, key_id: str) -> OwnedKey:
        """The key of `org`, or of one of its tenants. Raises Refused(NOT_FOUND)."""
        # Nothing is between a space and an exclamation mark.
        reply = await self._control.command("ZRANGEBYLEX", self._shelf.store.keys.keys(org), f"[{key_id} ", f"({key_id}!")
        for found in await self._read(org, _entries(reply)):
            return found
        raise Refused(NOT_FOUND, NO_KEY)

    async def page(self, org: str, limit: int, below: str | None = None) -> tuple[list[OwnedKey], str | None]:
        """At most `limit` keys below the one with the id `below`, and the id to go on below; None: there are no more. A page
        may have fewer where keys are just being made."""
        top = "+" if below is None else f"({below}"
        reply = await self._control.command("ZREVRANGEBYLEX", self._shelf.store.keys.keys(org), top, "-", "LIMIT", 0, limit + 1)
        places = _entries(reply)
        return await self._read(org, places[:limit]), places[limit - 1][0] if len(places) > limit else None

    async def _read(self, org: str, places: Sequence[tuple[str, Owner]]) -> list[OwnedKey]:
        ids = list(dict.fromkeys(owner for _, owner in places if isinstance(owner, UUID)))
        records: dict[Owner, Record | None] = dict(zip(ids, await self._shelf.tenants(ids), strict=True))
        if any(owner == org for _, owner in places):
            records[org] = await self._shelf.org(org, self._control)
        return [OwnedKey(owner, key) for key_id, owner in places for key in _named(records.get(owner), key_id)]

    @property
    def _control(self) -> Client:
        return self._shelf.store.control


def _named(record: Record | None, key_id: str) -> Iterable[ApiKey]:
    return () if record is None else (key for key in record.keys if key.id == key_id)


def _entries(reply: Reply) -> list[tuple[str, Owner]]:
    assert isinstance(reply, list)
    found = []
    for entry in reply:
        assert isinstance(entry, bytes)
        key_id, _, owner = entry.partition(b" ")
        found.append((key_id.decode(), read_owner(owner)))
    return found
