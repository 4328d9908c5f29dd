"""Units that are counted later: written into the journal, since the store can't be told of them now."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.errors import STORE_UNAVAILABLE, Refused

from .charge import Drawn
from .entry import Subject
from .items import Commit
from .journal import Journal, JournalFull

_log = logging.getLogger(__name__)

# Of each quota: one that counts, and one that takes it back where the upstream fails after all.
_ENTRIES = 2


class Deferral:
    """`refused` is told of each time that the journal takes nothing."""

    def __init__(self, journal: Journal, refused: Callable[[], None] = lambda: None) -> None:
        self._journal = journal
        self._refused = refused
        self._full = False

    def reserve(self, quotas: int) -> None:
        """Keep room for the units of so many quotas, until `free`: what is delivered then can be counted. Raises
        Refused(STORE_UNAVAILABLE)."""
        if not self._journal.has_room(quotas * _ENTRIES):
            raise self._refusal("it has no room for the requests under way")
        self._journal.reserve(quotas * _ENTRIES)

    def free(self, quotas: int) -> None:
        self._journal.reserve(-quotas * _ENTRIES)

    def count(self, drawn: Drawn, units: int) -> None:
        """Raises Refused(STORE_UNAVAILABLE) where the journal does not take it."""
        self._append(drawn, units)
        drawn.counted, drawn.journaled = units, True

    def uncount(self, drawn: Drawn) -> None:
        """The upstream failed after all. Where the journal does not take that, it stays counted."""
        try:
            self._append(drawn, -drawn.counted)
        except Refused:
            _log.error("%d units of %s stay counted that were not used", drawn.counted, drawn.counters.bucket.metric)

    def count_instead(self, drawn: Drawn, commit: Commit) -> None:
        """Whether the store has counted `commit` is not known. If it turns out that it has, the journal does not count it."""
        self._append(drawn, drawn.counted)
        drawn.journaled = True
        commit.done.add_done_callback(lambda done: self.uncount(drawn) if done.result() else None)

    def _append(self, drawn: Drawn, units: int) -> None:
        try:
            self._journal.append(_subject(drawn), units)
        except JournalFull as full:
            raise self._refusal(str(full)) from full
        self._full = False

    def _refusal(self, why: str) -> Refused:
        if not self._full:
            _log.error("the journal takes nothing more, requests are refused: %s", why)
        self._full = True
        self._refused()
        return Refused(STORE_UNAVAILABLE, "What the request uses can't be written down.", retry_after=1)


def _subject(drawn: Drawn) -> Subject:
    tenant, principal = drawn.call.require_customer().tenant, drawn.call.principal
    metric = drawn.counters.bucket.metric
    return Subject(tenant.id, tenant.org, principal.credential_id, metric, drawn.period, principal.root)
