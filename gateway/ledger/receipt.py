"""That units were counted, for whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import STORE_UNAVAILABLE, TENANT_QUOTA_EXCEEDED, Refused

from .items import Commit

# Seconds that the end of an answer waits for its units to be counted.
_PATIENCE = 1.0


class Receipt:
    """`otherwise` is done, once, where nobody knows whether they are."""

    def __init__(self, commits: Sequence[Commit], otherwise: Callable[[], None] | None = None) -> None:
        self._commits = commits
        self._otherwise = otherwise
        self._tell: Callable[[Refused | None], None] | None = None
        self._missing = 0
        self._timer: asyncio.TimerHandle | None = None

    def then(self, tell: Callable[[Refused | None], None]) -> None:
        """Call `tell` once: with None when they are counted, or with why they are not: STORE_UNAVAILABLE when nobody knows
        within a second, and there is nothing that could be done otherwise; TENANT_QUOTA_EXCEEDED where the store had given them
        to others meanwhile."""
        self._tell, self._missing = tell, len(self._commits)
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._late)
        for commit in self._commits:
            commit.done.add_done_callback(self._answered)

    def drop(self) -> None:
        """Nobody waits any more."""
        self._tell = None
        if self._timer is not None:
            self._timer.cancel()

    async def wait(self) -> None:
        """Return when they are counted. Raises Refused, as `then` tells."""
        if not self._commits:
            return
        told: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
        self.then(told.set_result)
        try:
            refused = await told
        finally:
            self.drop()
        if refused is not None:
            raise refused

    def _answered(self, done: asyncio.Future[bool]) -> None:
        self._missing -= 1
        if not done.result():
            self._say(Refused(TENANT_QUOTA_EXCEEDED, "The units that the request held had come to their end."))
        elif not self._missing:
            self._say(None)

    def _late(self) -> None:
        if self._otherwise is None:
            self._say(Refused(STORE_UNAVAILABLE, "What the request used could not be counted.", retry_after=1))
            return
        try:
            self._otherwise()
        except Refused as refused:
            self._say(refused)
            return
        self._commits = ()
        self._say(None)

    def _say(self, refused: Refused | None) -> None:
        tell = self._tell
        self.drop()
        if tell is not None:
            tell(refused)
