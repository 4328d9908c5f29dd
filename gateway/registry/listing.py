"""The tenants of an organization from the newest to the oldest, a page at a time."""

from __future__ import annotations

from uuid import UUID

from gateway.tenancy.tenant import Tenant

from .shelf import Shelf

Position = tuple[str, ...]
"""Of a tenant in the list: when it was made, as the store writes it, and its id."""


class TenantList:
    """A page begins below a position, so that tenants that are made meanwhile neither repeat nor hide any."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def page(self, org: str, limit: int, below: Position | None = None) -> tuple[list[Tenant], Position | None]:
        """At most `limit` tenants, and where the list goes on; None: nowhere. Of a creation that is under way, or has died,
        there is no record yet: such a page has fewer.

        Raises Refused: STORE_UNAVAILABLE, SECRETS_UNREADABLE.
        """
        places = await self._places(org, limit + 1, below)
        found = await self._shelf.tenants([UUID(name) for _, name in places[:limit]])
        return [tenant for tenant in found if tenant is not None], places[limit - 1] if len(places) > limit else None

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
            places += [place for place in chunk if below is None or _is_below(place, below)]
            if len(chunk) < count:
                break
            offset += count
        return places[:count]


def _is_below(place: Position, other: Position) -> bool:
    return (float(place[0]), place[1]) < (float(other[0]), other[1])
