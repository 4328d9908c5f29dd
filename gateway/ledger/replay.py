"""Has the store count what journals hold, as soon as it can be reached: this worker's own, and those that dead ones left."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from gateway.errors import Refused
from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.store.script import Script
from gateway.store.wire import Part

from .entry import Entry
from .journal import Journal, NotOurs
from .naming import expiry_of

_log = logging.getLogger(__name__)

_REPLAY = Script.load("gateway.ledger", "replay")
_BATCH = 256
# Seconds; for as long as counters are kept it is known how far a journal was counted.
_PAUSE, _ADOPT_EVERY, _CLOSE = 0.5, 5.0, 2.0
_KEPT = 26 * 31 * 86400


class Replay:
    """`source` names the store as `Journal.create` does. `own` is None where this worker writes none. `drained` is told when
    all that stood in it is counted."""

    def __init__(
        self, store: Store, directory: Path, source: str, own: Journal | None, drained: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._directory = directory
        self._source = source
        self._own = own
        self._drained = drained
        self._seen = 0
        self._left_alone: set[Path] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._syncing: asyncio.Future[None] | None = None

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep_counting())]
        if self._own is not None:
            self._tasks.append(asyncio.create_task(self._keep_on_disk(self._own)))

    async def close(self) -> None:
        """Count what waits, if the store can be reached; a worker of the next start finds what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._own is None:
            return
        try:
            async with asyncio.timeout(_CLOSE):
                await self.count_own()
        except (Refused, TimeoutError):
            _log.error("%d entries of the journal %s wait to be counted by the next gateway", self._own.waiting, self._own.name)
        await self._sync(self._own)
        self._own.release(remove=self._own.waiting == 0)

    async def count_own(self) -> None:
        """Raises Refused(STORE_UNAVAILABLE); what was counted then is not counted again."""
        if self._own is not None and self._own.waiting:
            self._seen = await self._count(self._own, self._seen)
            self._drained()

    async def adopt(self) -> None:
        """Count what dead workers left, and remove it. Raises Refused(STORE_UNAVAILABLE)."""
        for path in Journal.paths(self._directory):
            if (self._own is not None and path.stem == self._own.name) or path in self._left_alone:
                continue
            try:
                journal = Journal.adopt(path, self._source)
            except NotOurs as why:
                if not why.in_use:
                    self._left_alone.add(path)
                    _log.error("the journal %s is left alone: %s", path, why)
                continue
            except OSError as error:
                _log.error("the journal %s can't be read: %s", path, error.strerror)
                continue
            counted = False
            try:
                await self._count(journal, 0)
                counted = True
                _log.warning("counted what a worker left in %s", path)
            finally:
                journal.release(remove=counted)

    async def _keep_counting(self) -> None:
        loop = asyncio.get_running_loop()
        adopt_at = loop.time()
        while True:
            try:
                await self.count_own()
                if loop.time() >= adopt_at:
                    adopt_at = loop.time() + _ADOPT_EVERY
                    await self.adopt()
            except Refused:
                pass
            except OSError as error:
                _log.error("a journal can't be read: %s", error)
            await asyncio.sleep(_PAUSE)

    async def _keep_on_disk(self, journal: Journal) -> None:
        while True:
            await self._sync(journal)
            await asyncio.sleep(_PAUSE)

    async def _sync(self, journal: Journal) -> None:
        # One that is under way goes on when this is cancelled, and the file must stay open for it.
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.ensure_future(asyncio.to_thread(journal.sync))
        try:
            await asyncio.shield(self._syncing)
        except OSError as error:
            _log.error("the journal can't be synced to its disk: %s", error)

    async def _count(self, journal: Journal, seen: int) -> int:
        """All that waits in it, after the entry of number `seen`; the number of the last one that was counted."""
        while batch := list(islice(journal.entries(), _BATCH)):
            fresh = [entry for entry, _ in batch if entry.number > seen]
            if fresh:
                before = await self._send(journal.name, seen, fresh)
                if before != seen:
                    # It was told already, and the answer was lost; or by the worker before it died.
                    seen = before
                    continue
                seen = fresh[-1].number
            journal.done(batch[-1][1], len(batch))
        return seen

    async def _send(self, name: str, seen: int, entries: Sequence[Entry]) -> int:
        names, keys = self._store.keys, {self._store.keys.journal(name): 1}
        sums: Counter[tuple[str, str, int]] = Counter()
        for entry in entries:
            of, tag = entry.subject, tenant_tag(entry.subject.tenant)
            expires = expiry_of(of.period)
            sums[names.usage(tag, of.period), of.metric, expires] += entry.units
            sums[names.usage(org_tag(of.org), of.period), of.metric, expires] += entry.units
            if of.credential is not None:
                sums[names.credential_usage(tag, of.period), f"{of.metric} {of.credential}", expires] += entry.units
        args: list[Part] = [seen, entries[-1].number, _KEPT]
        for (key, field, expires), units in sums.items():
            args += (keys.setdefault(key, len(keys) + 1), field, units, expires)
        before = await self._store.data.run(_REPLAY, list(keys), args)
        assert isinstance(before, int)
        return before
