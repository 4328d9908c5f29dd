"""The tenants of an organization from the newest to the oldest, a page at a time: all, or those that are searched for."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from gateway.tenancy.search import Search
from gateway.tenancy.tenant import Tenant

from .shelf import Shelf

Position = tuple[str, ...]
"""Of a tenant in the list: when it was made, as the store writes it, and its id."""

_EVERYONE = Search()
# Records that one call reads at once, and how often, where few of them may be what is searched for: reading is work, and other
# requests wait for it.
_CHUNK, _CHUNKS = 50, 20
# What more are found by stands on every page of the whole list.
_RARE = 5_000


class TenantList:
    """A page begins below a position, so that tenants that are made meanwhile neither repeat nor hide any."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def page(
        self, org: str, limit: int, below: Position | None = None, search: Search = _EVERYONE
    ) -> tuple[list[Tenant], Position | None]:
        """At most `limit` tenants, and where the list goes on; None: nowhere. It may go on after a page that is not full: one
        call reads some 1,000 records at most.

        Raises Refused: STORE_UNAVAILABLE, SECRETS_UNREADABLE.
        """
        narrowed, size = await self._narrowed(org, search), limit if search.is_open else _CHUNK
        found: list[Tenant] = []
        for _ in range(_CHUNKS):
            places = await self._places(org, size + 1, below) if narrowed is None else _after(narrowed, below)[: size + 1]
            chunk = places[:size]
            for place, tenant in zip(chunk, await self._shelf.tenants([UUID(name) for _, name in chunk]), strict=True):
                below = place
                # Of a creation that is under way, or has died, there is no record.
                if tenant is not None and search.finds(tenant):
                    found.append(tenant)
                if len(found) == limit:
                    return found, None if place == places[-1] else place
            if len(places) <= size:
                return found, None
        return found, below

    async def _narrowed(self, org: str, search: Search) -> list[Position] | None:
        """Where those stand that may be meant, in the order of the list; None: anywhere."""
        keys, control = self._shelf.store.keys, self._shelf.store.control
        if search.external_ref is not None:
            holder = await control.command("GET", keys.ref(org, search.external_ref))
            return await self._places_of(org, [holder] if isinstance(holder, bytes) else [])
        for beginning in search.beginnings:
            first = b"[" + beginning.encode()
            # No text has the byte ff in UTF-8.
            entries = await control.command("ZRANGEBYLEX", keys.words(org), first, first + b"\xff", "LIMIT", 0, _RARE + 1)
            assert isinstance(entries, list)
            if len(entries) <= _RARE:
                names = [entry.rpartition(b"\0")[2] for entry in entries if isinstance(entry, bytes)]
                return await self._places_of(org, names)
        return None

    async def _places_of(self, org: str, names: Sequence[bytes]) -> list[Position]:
        distinct = list(dict.fromkeys(names))
        if not distinct:
            return []
        scores = await self._shelf.store.control.command("ZMSCORE", self._shelf.store.keys.tenants(org), *distinct)
        assert isinstance(scores, list)
        pairs = zip(scores, distinct, strict=True)
        places: list[Position] = [(score.decode(), name.decode()) for score, name in pairs if isinstance(score, bytes)]
        return sorted(places, key=_order, reverse=True)

    async def _places(self, org: str, count: int, below: Position | None) -> list[Position]:
        index, top = self._shelf.store.keys.tenants(org), "+inf" if below is None else below[0]
        places: list[Position] = []
        offset = 0
        # Tenants of one instant lie in the order of their ids; those before the position are passed over.
        while len(places) < count:
            reply = await self._shelf.store.control.command(
                "ZREVRANGEBYSCORE", index, top, "-inf", "WITHSCORES", "LIMIT", offset, count
            )
            assert isinstance(reply, list)
            texts = [one.decode() for one in reply if isinstance(one, bytes)]
            chunk = list(zip(texts[1::2], texts[::2], strict=True))
            places += _after(chunk, below)
            if len(chunk) < count:
                break
            offset += count
        return places[:count]


def _after(places: Sequence[Position], below: Position | None) -> list[Position]:
    return [place for place in places if below is None or _order(place) < _order(below)]


def _order(place: Position) -> tuple[float, str]:
    return float(place[0]), place[1]
