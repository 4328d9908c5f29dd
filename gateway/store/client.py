"""Calls to the store: each under one deadline, sent at most once, and every fault of the store told as STORE_UNAVAILABLE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.errors import STORE_UNAVAILABLE, Refused

from .address import Address
from .script import Script
from .wire import Part, Reply, ReplyError, StoreError, Wire

Observe = Callable[[str, float, bool], None]
"""Told of every call that was not cancelled: its name, how many seconds it took, whether the store answered it."""

_log = logging.getLogger(__name__)

# Of a server that is no longer, or not yet, the right one: another connection may lead to another server.
_ELSEWHERE = frozenset({"READONLY", "LOADING", "MASTERDOWN"})

# A loop that was busy past the deadline may look at its timers (uvloop does) before it has read, or even written, what waits.
_LAST_LOOK = 0.005

# Seconds: a store that is down, or refuses its callers, is tried once in so long, however many calls there are.
_BETWEEN_ATTEMPTS = 0.02


class Client:
    """`deadline` is in seconds and holds for a whole call, the making of a connection included."""

    def __init__(self, url: str, deadline: float, observe: Observe | None = None) -> None:
        self._address = Address.of(url)
        self._deadline = deadline
        self._observe = observe or (lambda name, seconds, answered: None)
        self._wire: Wire | None = None
        self._wires: set[Wire] = set()
        self._connecting: asyncio.Task[Wire] | None = None
        self._next_attempt = 0.0
        self._reachable = True

    async def command(self, *parts: Part) -> Reply:
        """Send one command. Raises Refused(STORE_UNAVAILABLE)."""
        return await self._call(str(parts[0]).lower(), parts)

    async def gather(self, commands: Sequence[Sequence[Part]]) -> list[Reply]:
        """Send independent commands at once; replies in their order. Raises Refused(STORE_UNAVAILABLE)."""
        return list(await asyncio.gather(*(self.command(*parts) for parts in commands)))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        """Run a script atomically. Raises Refused(STORE_UNAVAILABLE); whether it ran is then unknown."""
        called = ("EVALSHA", script.sha, len(keys), *keys, *args)
        return await self._call(script.name, called, ("EVAL", script.text, *called[2:]))

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for wire in self._wires:
            wire.retire(self._deadline)
        await asyncio.gather(*(wire.closed for wire in self._wires))

    async def _call(self, name: str, parts: tuple[Part, ...], untaught: tuple[Part, ...] | None = None) -> Reply:
        """`untaught` is what is sent instead where the store does not know the script: then nothing has run yet."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            try:
                reply = await self._send(parts, start + self._deadline)
            except ReplyError as error:
                if untaught is None or error.kind != "NOSCRIPT":
                    raise
                reply = await self._send(untaught, start + self._deadline)
        except (StoreError, OSError) as error:
            # A reply such as READONLY, LOADING or OOM is an outage as well.
            self._observe(name, loop.time() - start, False)
            self._tell(error)
            raise Refused(STORE_UNAVAILABLE, retry_after=1) from error
        self._observe(name, loop.time() - start, True)
        self._tell(None)
        return reply

    async def _send(self, parts: tuple[Part, ...], ends: float) -> Reply:
        wire = self._wire
        if wire is None or not wire.usable:
            wire = await self._connected(ends)
        reply = wire.send(parts)
        # Not asyncio.timeout: it would throw away a reply that has come in the same turn of the loop.
        loop = asyncio.get_running_loop()
        timer = loop.call_at(ends, loop.call_later, _LAST_LOOK, self._give_up, wire, reply)
        try:
            return await reply
        except ReplyError as error:
            if error.kind in _ELSEWHERE:
                wire.retire(self._deadline)
            raise
        finally:
            timer.cancel()

    def _give_up(self, wire: Wire, reply: asyncio.Future[Reply]) -> None:
        if not reply.done():
            reply.set_exception(StoreError(f"no answer within {self._deadline * 1000:g} ms"))
            # Others who wait on this connection have their own deadlines; new calls get a new one.
            wire.retire(self._deadline)

    async def _connected(self, ends: float) -> Wire:
        """The connection that is being made, by one caller for all."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            # All who wait for it may have gone when it fails.
            self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        async with asyncio.timeout_at(ends):
            return await asyncio.shield(self._connecting)

    async def _connect(self) -> Wire:
        try:
            async with asyncio.timeout(self._deadline):
                loop = asyncio.get_running_loop()
                await asyncio.sleep(self._next_attempt - loop.time())
                self._next_attempt = loop.time() + _BETWEEN_ATTEMPTS
                wire = self._wire = await self._address.connect()
            self._wires.add(wire)
            wire.closed.add_done_callback(lambda _: self._wires.discard(wire))
            return wire
        finally:
            self._connecting = None

    def _tell(self, error: Exception | None) -> None:
        """Log where reachability turns, so that an outage is two lines and not one for each request."""
        if (error is None) != self._reachable:
            self._reachable = error is None
            if error is None:
                _log.info("store reachable again")
            else:
                _log.error("store unavailable: %s", error if str(error) else "no connection within the deadline")
