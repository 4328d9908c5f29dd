"""The audit trail of each organization: an entry for every change, chained by hashes, none of them ever lost in between.

A change and its entry are written in one step, where the record is: the entry waits in the outbox of the record's owner. From
there it is moved to the organization's trail, at once; where that fails, before the trail is read the next time. The list of
owners with a change under way, which is written before the change, says whose outboxes to look into.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import random
from typing import TypedDict, cast
from uuid import uuid4

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.errors import Owner as AtFault
from gateway.store.connect import Store
from gateway.store.keyspace import Keyspace
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

from .audit_entry import Entry, Json, chained, tenant_of
from .owner import Owner, read_owner, write_owner

_log = logging.getLogger(__name__)

_APPEND = Script.load("gateway.registry", "append_audit")

KEPT = 100_000
"""About so many entries of an organization are kept, the newest."""
CHUNK = 500
# Entries that one search looks at.
_SEARCHED = 20 * CHUNK
_ROUNDS, _PAUSE = 100, 0.02
_DEADLINE = 5.0
# Seconds. A change that is older has ended, one way or the other: it can't write an entry any more.
_ABANDONED = 3600.0


class _Place(TypedDict):
    org: str
    version: int


class _Restored(_Place):
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first. `before` continues the search; None: it has reached the beginning."""

    entries: list[Entry]
    before: int | None


class Audit:
    """`now` is in seconds since 1970. Everything raises Refused(STORE_UNAVAILABLE)."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._moving = asyncio.Lock()

    @asynccontextmanager
    async def around(self, owner: Owner) -> AsyncIterator[None]:
        """Around a change of the owner's record. Left, its entry is in the trail, and both are on disk.

        Raises Refused(STORE_UNAVAILABLE, WRITE_NOT_DURABLE) where that failed; the change is in force nevertheless.
        """
        mark = f"{uuid4().hex} {write_owner(owner)}"
        await self._command("ZADD", self._open, int(self._now()), mark)
        try:
            yield
        except Refused as refused:
            if refused.problem.owner is not AtFault.STORE:
                await self._close(mark)
            # Else the change may be in force, and its entry is looked for when the trail is read.
            raise
        await self._noted(owner)
        await self._close(mark)
        await self._store.durable.wait()

    async def search(
        self, org: str, limit: int, before: int | None = None, match: Callable[[Entry], bool] | None = None
    ) -> Page:
        """The newest `limit` entries below the number `before` that match, of every change that is in force."""
        await self._collect()
        found: list[Entry] = []
        end = "+" if before is None else f"({before}-0"
        for _ in range(_SEARCHED // CHUNK):
            chunk = await self._entries("XREVRANGE", self._keys.audit(org), end, "-", "COUNT", CHUNK)
            for number, entry in chunk:
                if match is None or match(entry):
                    found.append(entry)
                if len(found) == limit:
                    return Page(found, number if number > 1 else None)
            if len(chunk) < CHUNK:
                return Page(found, None)
            end = f"({chunk[-1][0]}-0"
        return Page(found, chunk[-1][0])

    async def chunk(self, org: str, after: int) -> list[tuple[int, Entry]]:
        """The next entries after the number `after`, as they are stored, each with its number."""
        return await self._entries("XRANGE", self._keys.audit(org), f"({after}-0", "+", "COUNT", CHUNK)

    async def count(self, org: str) -> int:
        await self._collect()
        length = await self._command("XLEN", self._keys.audit(org))
        assert isinstance(length, int)
        return length

    async def head(self, org: str) -> tuple[int, str]:
        """Number and hash of the entry that was written last; 0 and empty where there is none yet."""
        head = await self._command("HGET", self._keys.audit_heads(org), "head")
        number, _, digest = head.decode().partition(" ") if isinstance(head, bytes) else ("0", "", "")
        return int(number), digest

    async def restore(self, org: str, entry: Entry) -> bool | None:
        """Whether the entry was missing from a trail that it is the next one of, or the first that is kept; None: it is not."""
        fields = cast(_Restored, entry.fields())
        there = await self._entries("XRANGE", self._keys.audit(org), f"{fields['seq']}-0", f"{fields['seq']}-0")
        if there:
            return False if there[0][1] == entry else None
        number, head = await self.head(org)
        if number and (fields["seq"] != number + 1 or fields["prev"] != head):
            return None
        owner = tenant_of(cast("dict[str, Json]", fields)) or org
        keys = [self._keys.audit(org), self._keys.audit_heads(org)]
        known = f"{number} {head}" if number else ""
        # Its webhooks have been told of it where it was written.
        await self._command("SET", self._keys.webhook_cursor(org), fields["seq"])
        args: list[Part] = [known, fields["seq"], entry.text, entry.hash, write_owner(owner), fields["version"], KEPT]
        return True if await self._store.control.run(_APPEND, keys, args) == 1 else None

    async def _noted(self, owner: Owner) -> None:
        try:
            await self._move(owner)
        except Refused as refused:
            _log.error("a change is in force, and its audit entry still waits in the outbox of %s", write_owner(owner))
            told = "The change is in force. Its audit entry is stored with it, and joins the trail when that is read."
            raise Refused(STORE_UNAVAILABLE, told, retry_after=1) from refused

    async def _close(self, mark: str) -> None:
        # One that stays is only looked at in vain for a while.
        with suppress(Refused):
            await self._command("ZREM", self._open, mark)

    async def _collect(self) -> None:
        """Move what changes that died, or could not reach the store any more, have left behind."""
        reply = await self._command("ZRANGE", self._open, 0, -1, "WITHSCORES")
        marks = [(mark.decode(), float(since)) for mark, since in _pairs(reply)]
        for name in {mark.partition(" ")[2] for mark, _ in marks}:
            await self._move(read_owner(name.encode()))
        for mark, since in marks:
            if self._now() - since > _ABANDONED:
                await self._close(mark)

    async def _move(self, owner: Owner) -> None:
        """Empty the owner's outbox into the trail. What was appended before, and not taken out, is not appended again."""
        outbox = self._keys.outbox(owner)
        try:
            async with asyncio.timeout(_DEADLINE), self._moving:
                waiting = await self._command("LRANGE", outbox, 0, -1)
                assert isinstance(waiting, list)
                for text in waiting:
                    assert isinstance(text, bytes)
                    await self._append(owner, text)
                    await self._command("LREM", outbox, 1, text)
        except TimeoutError as error:
            raise Refused(STORE_UNAVAILABLE, retry_after=1) from error

    async def _append(self, owner: Owner, waiting: bytes) -> None:
        place = cast(_Place, json.loads(waiting))
        keys = [self._keys.audit(place["org"]), self._keys.audit_heads(place["org"])]
        for _ in range(_ROUNDS):
            number, digest = await self.head(place["org"])
            entry = chained(waiting, number + 1, digest)
            head = f"{number} {digest}" if number else ""
            args: list[Part] = [head, number + 1, entry.text, entry.hash, write_owner(owner), place["version"], KEPT]
            if await self._store.control.run(_APPEND, keys, args) == 1:
                return
            await asyncio.sleep(_PAUSE * random())  # noqa: S311 - spreads writers, keeps no secret
        raise Refused(STORE_UNAVAILABLE, retry_after=1)

    async def _entries(self, *command: Part) -> list[tuple[int, Entry]]:
        reply = await self._command(*command)
        assert isinstance(reply, list)
        return [_read(item) for item in reply]

    async def _command(self, *parts: Part) -> Reply:
        return await self._store.control.command(*parts)

    @property
    def _keys(self) -> Keyspace:
        return self._store.keys

    @property
    def _open(self) -> str:
        return self._keys.named("audit-open")


def _read(item: Reply) -> tuple[int, Entry]:
    assert isinstance(item, list)
    name, fields = item
    assert isinstance(name, bytes)
    held = dict(_pairs(fields))
    return int(name.partition(b"-")[0]), Entry(held.get(b"entry", b""), held.get(b"hash", b"").decode(errors="replace"))


def _pairs(reply: Reply) -> Iterator[tuple[bytes, bytes]]:
    assert isinstance(reply, list)
    for name, value in zip(reply[::2], reply[1::2], strict=True):
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)
        yield name, value
