"""Waiting until what the store has acknowledged is on its disk: one wait for all who ask at the same time."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from gateway.errors import WRITE_NOT_DURABLE, Refused

from .address import Address
from .wire import Part, Reply, ReplyError, StoreError, Wire

_log = logging.getLogger(__name__)

_DEADLINE = 3.0
# Seconds between two looks at a buffer that the embedded store has not handed to the system yet.
_PAUSE = 0.005
_DOUBT = (
    "it syncs once a second (appendfsync everysec), and servers such as Valkey up to 9.1 then answer WAITAOF before the sync; "
    "appendfsync always closes that gap"
)


class Durable:
    """On a connection of its own, as WAITAOF holds back every later reply.

    WAITAOF speaks for the last write of its connection. So a wait first writes `key`: what any other connection wrote before
    lies before that in the store's log. `files` is where the embedded store keeps that log: it is synced from here then, at
    once, in place of the store's next turn. `deadline` is in seconds. `required`: a store that can't tell counts as a failure.
    """

    def __init__(
        self, url: str, key: str, *, files: Path | None = None, required: bool = False, deadline: float = _DEADLINE
    ) -> None:
        self._address = Address.of(url)
        self._key = key
        self._files = files
        self._required = required
        self._deadline = deadline
        self._wire: Wire | None = None
        self._lack = ""
        self._told: str | None = None
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when all writes that were acknowledged before are on disk, or the store is known to keep nothing there.

        Raises Refused(WRITE_NOT_DURABLE): the writes are done, and whether they would outlive a loss of power is not known.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await asyncio.shield(self._shared())
        except (TimeoutError, OSError, StoreError) as error:
            _log.error("a write is not known to be durable: %s", str(error) or f"no answer within {self._deadline:g} s")
            raise Refused(WRITE_NOT_DURABLE) from error

    async def shortfall(self) -> str:
        """Why a write that has answered may still be lost with the power; empty where it can't, or the store is out of reach.

        Said in the log too, once.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await self._connected()
        except (TimeoutError, OSError, StoreError):
            return ""
        return self._told or ""

    async def close(self) -> None:
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._wire is not None:
            self._wire.retire(0)
            await self._wire.closed

    def _shared(self) -> asyncio.Task[None]:
        """The next round. One that runs already may have begun before the caller's write."""
        if self._next is None:
            self._next = asyncio.create_task(self._round(self._running))
            # All who wait for it may have gone when it fails.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._next

    async def _round(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        try:
            async with asyncio.timeout(self._deadline):
                await self._confirm(await self._connected())
        except BaseException:
            if self._wire is not None:
                self._wire.retire(0)
            raise

    async def _confirm(self, wire: Wire) -> None:
        if self._files is not None:
            await _written(wire)
            await asyncio.to_thread(_sync, self._files)
        elif not self._lack:
            _, reply = await asyncio.gather(
                wire.send(("SET", self._key, "")), wire.send(("WAITAOF", 1, 0, int(self._deadline * 900)))
            )
            if not isinstance(reply, list) or reply[0] != 1:
                raise StoreError("the store did not sync in time")
        elif self._required:
            raise StoreError(self._lack)

    async def _connected(self) -> Wire:
        if self._wire is None or not self._wire.usable:
            wire = await self._address.connect()
            self._wire = wire
            if self._files is None:
                await self._look(wire)
        return self._wire

    async def _look(self, wire: Wire) -> None:
        """What the server at the other end can promise; it may be another one after each connect."""
        policy = await _policy(wire)
        self._lack = "it never syncs on its own (appendfsync no)" if policy == b"no" else await _refusal(wire)
        shortfall = self._lack or (_DOUBT if policy != b"always" else "")
        if shortfall and shortfall != self._told:
            _log.warning("the store may lose a change that has answered when its machine fails: %s", shortfall)
        self._told = shortfall


async def _policy(wire: Wire) -> Reply:
    """`appendfsync`; None where the server does not tell, as many hosted ones."""
    try:
        reply = await wire.send(("CONFIG", "GET", "appendfsync"))
    except ReplyError:
        return None
    return reply[1] if isinstance(reply, list) and len(reply) == 2 else None


async def _refusal(wire: Wire) -> str:
    """Why WAITAOF can't be had; empty where it can. On a connection that has written nothing it does not wait."""
    call: tuple[Part, ...] = ("WAITAOF", 1, 0, 1)
    try:
        await wire.send(call)
    except ReplyError as error:
        if error.kind not in ("ERR", "NOPERM"):
            raise
        return f"it has no append-only file, or does not wait for it ({error})"
    return ""


async def _written(wire: Wire) -> None:
    """Return when the server has handed its whole log to the system: before it answers, but not while its own sync lasts."""
    while True:
        reply = await wire.send(("INFO", "persistence"))
        assert isinstance(reply, bytes)
        told = reply.split(b"\r\n")
        if b"aof_last_write_status:ok" not in told:
            raise StoreError("the store can't write its append-only file")
        if b"aof_buffer_length:0" in told:
            return
        await asyncio.sleep(_PAUSE)


def _sync(directory: Path) -> None:
    """Raises OSError."""
    for path in directory.iterdir():
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            # A rewrite has put another in its place, which the store syncs itself.
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
