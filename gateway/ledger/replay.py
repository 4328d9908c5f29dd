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
from .keys import Keys
from .naming import expiry_of

_log = logging.getLogger(__name__)

_REPLAY = Script.load("gateway.ledger", "replay", before="buckets")
_BATCH = 256
_GROUPS = 10_000
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
        # By group, the number of the last entry of this worker's journal that is known to be counted there.
        self._seen: dict[str, int] = {}
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
            if len(self._seen) > _GROUPS:
                # The store tells it again.
                self._seen.clear()
            await self._count(self._own, self._seen)
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
                await self._count(journal, {})
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

    async def _count(self, journal: Journal, seen: dict[str, int]) -> None:
        """All that waits in it; `seen` is as `_seen`."""
        while batch := list(islice(journal.entries(), _BATCH)):
            entries = [entry for entry, _ in batch]
            groups = dict.fromkeys(group for entry in entries for group in self._groups(entry))
            for group in groups:
                await self._count_group(journal.name, group, [entry for entry in entries if group in self._groups(entry)], seen)
            journal.done(batch[-1][1], len(batch))

    async def _count_group(self, name: str, group: str, entries: Sequence[Entry], seen: dict[str, int]) -> None:
        """Of `entries`, what is counted under keys of `group`."""
        while fresh := [entry for entry in entries if entry.number > seen.get(group, 0)]:
            before = await self._send(name, group, seen.get(group, 0), fresh)
            # Where that is another number, it was told already, and the answer was lost; or by the worker before it died.
            seen[group] = fresh[-1].number if before == seen.get(group, 0) else before

    def _groups(self, entry: Entry) -> Sequence[str]:
        names, of = self._store.keys, entry.subject
        return names.groups([names.usage(tenant_tag(of.tenant), of.period), names.usage(org_tag(of.org), of.period)])

    async def _send(self, name: str, group: str, seen: int, entries: Sequence[Entry]) -> int:
        names = self._store.keys
        keys = Keys(names, group)
        keys.index(names.journal(group, name))
        sums: Counter[tuple[int, str, int, bool]] = Counter()
        for entry in entries:
            of, tag = entry.subject, tenant_tag(entry.subject.tenant)
            expires = expiry_of(of.period)
            sums[keys.index(names.usage(tag, of.period)), of.metric, expires, True] += entry.units
            sums[keys.index(names.usage(org_tag(of.org), of.period)), of.metric, expires, False] += entry.units
            if of.credential is not None:
                key = keys.index(names.credential_usage(tag, of.period))
                sums[key, f"{of.metric} {of.credential}", expires, False] += entry.units
            if of.credential is not None and of.root:
                key = keys.index(names.credential_usage(org_tag(of.org), of.period))
                sums[key, f"{of.metric} {of.credential}", expires, False] += entry.units
        args: list[Part] = ["", seen, entries[-1].number, _KEPT]
        for (key, field, expires, daily), units in sums.items():
            if key:
                args += (key, field, units, expires, int(daily))
        before = await self._store.data.run(_REPLAY, keys.named, args)
        assert isinstance(before, int)
        return before
