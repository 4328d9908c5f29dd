"""Calls to the store: each under one deadline, sent at most once, and every fault of the store told as STORE_UNAVAILABLE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from gateway.errors import STORE_UNAVAILABLE, Refused

from .script import Script

Part = str | bytes | int
Reply = bytes | int | None | list["Reply"]
Observe = Callable[[str, float, bool], None]
"""Told of every call: its name, how many seconds it took, whether the store answered it."""

_log = logging.getLogger(__name__)


class _Redis(Protocol):
    """The part of the client library that is used here, with types."""

    def execute_command(self, *parts: Part) -> Awaitable[Reply]: ...

    def aclose(self) -> Awaitable[None]: ...


class Client:
    """`deadline` is in seconds and holds for a whole call, waiting for a connection included."""

    def __init__(self, url: str, deadline: float, connections: int, observe: Observe | None = None) -> None:
        # The library's own retries would send a script again that may have run already.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=None,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=None,
            driver_info=None,
        )
        self._redis: _Redis = Redis.from_pool(pool)
        self._deadline = deadline
        self._observe = observe or (lambda name, seconds, answered: None)
        self._reachable = True

    async def command(self, *parts: Part) -> Reply:
        """Send one command. Raises Refused(STORE_UNAVAILABLE)."""
        with self._mapped(str(parts[0]).lower()):
            async with asyncio.timeout(self._deadline):
                return await self._redis.execute_command(*parts)

    async def gather(self, commands: Sequence[Sequence[Part]]) -> list[Reply]:
        """Send independent commands at once, under one deadline; replies in their order. Raises Refused(STORE_UNAVAILABLE)."""
        return list(await asyncio.gather(*(self.command(*parts) for parts in commands)))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        """Run a script atomically. Raises Refused(STORE_UNAVAILABLE); whether it ran is then unknown."""
        with self._mapped(script.name):
            async with asyncio.timeout(self._deadline):
                try:
                    return await self._redis.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
                except NoScriptError:
                    # The store has forgotten the script (restart, SCRIPT FLUSH), so nothing has run. EVAL also teaches it.
                    return await self._redis.execute_command("EVAL", script.text, len(keys), *keys, *args)

    async def close(self) -> None:
        await self._redis.aclose()

    @contextmanager
    def _mapped(self, name: str) -> Iterator[None]:
        start, answered = perf_counter(), False
        try:
            yield
            answered = True
            self._tell(None)
        except (RedisError, OSError) as error:
            # TimeoutError of the deadline is an OSError. A reply such as READONLY, LOADING or OOM is an outage as well.
            self._tell(error)
            raise Refused(STORE_UNAVAILABLE, retry_after=1) from error
        finally:
            self._observe(name, perf_counter() - start, answered)

    def _tell(self, error: Exception | None) -> None:
        """Log where reachability turns, so that an outage is two lines and not one for each request."""
        if (error is None) != self._reachable:
            self._reachable = error is None
            if error is None:
                _log.info("store reachable again")
            else:
                _log.error("store unavailable: %s: %s", type(error).__name__, error)
