"""A platform's API keys, and those of its tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Unpack

from .answers import Key, KeyChange, MintedKey, NewKey
from .connection import Connection, matching


class Keys:
    """With a platform's key only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def mint(self, **fields: Unpack[NewKey]) -> MintedKey:
        """Without `tenant_id` a platform's key; without `scopes` one with all that its kind may hold."""
        minted: MintedKey = await self._connection.send("POST", "/keys", body=fields)
        return minted

    def list(self, tenant_id: str | None = None) -> AsyncIterator[Key]:
        """Of the organization, its tenants' included, or of one tenant; the newest first."""
        return self._connection.each("/keys", {"limit": 100, "tenant_id": tenant_id})

    async def get(self, key_id: str) -> Key:
        return (await self.tagged(key_id))[0]

    async def tagged(self, key_id: str) -> tuple[Key, str]:
        """A key with its `ETag`, for `update`."""
        answer = await self._connection.answer("GET", f"/keys/{key_id}")
        return answer.json(), answer.headers["etag"]

    async def update(self, key_id: str, *, if_match: str | None = None, **fields: Unpack[KeyChange]) -> Key:
        """With `if_match`, an `ETag`: only if nobody has changed it since, else Refusal PRECONDITION_FAILED."""
        key: Key = await self._connection.send("PATCH", f"/keys/{key_id}", body=fields, headers=matching(if_match))
        return key

    async def roll(self, key_id: str, overlap_seconds: int = 0) -> MintedKey:
        """A new key in its place; the old one is good for `overlap_seconds` more."""
        body = {"overlap_seconds": overlap_seconds}
        minted: MintedKey = await self._connection.send("POST", f"/keys/{key_id}/roll", body=body)
        return minted

    async def revoke(self, key_id: str) -> Key:
        key: Key = await self._connection.send("DELETE", f"/keys/{key_id}")
        return key
