"""Units that were used while the store could not be reached, kept on this machine's disk until the store has counted them.

One file for each worker, which holds it by a lock as long as it lives; so whoever gets the lock of another one knows that its
worker is dead, and may count what it left. An entry is handed to the operating system before the client has the end of its
answer, so it outlives the worker. It is synced to the disk within a second, as the store's own file is.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self
from uuid import uuid4

from .entry import ENTRY_MAX, Entry, Subject, line_of, read_line

_log = logging.getLogger(__name__)

_SUFFIX = ".journal"
_FORMAT = 1
# Bytes that are read at once.
_PIECE = 32 << 10
_HEAD_MAX = 4096


class JournalFull(Exception):
    """An entry has no room, or the disk does not take it."""


class NotOurs(Exception):
    """The file is `in_use`, or gone; or it holds what belongs to another store."""

    def __init__(self, why: str, *, in_use: bool) -> None:
        super().__init__(why)
        self.in_use = in_use


class Journal:
    """`name` is that of no other journal. `limit`: bytes that the file may have. `waiting` counts what was appended here and is
    not yet `done`."""

    def __init__(self, path: Path, descriptor: int, limit: int) -> None:
        self.name = path.name.removesuffix(_SUFFIX)
        self._path = path
        self._descriptor = descriptor
        self._limit = limit
        self._begin = self._done = self._size = os.fstat(descriptor).st_size
        self._number = 0
        self._reserved = 0
        self._synced = True
        self.waiting = 0

    @classmethod
    def create(cls, directory: Path, store: str, limit: int) -> Self:
        """A new one. `store` names the store whose counters these are. Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = directory / f"{uuid4().hex}{_SUFFIX}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Before it was locked another worker may have taken it for one of a dead worker.
            if _locked(descriptor):
                os.write(descriptor, line_of({"journal": _FORMAT, "store": store}))
                return cls(path, descriptor, limit)
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path, store: str) -> Self:
        """That of a worker which is dead; nothing is added to it. Raises NotOurs, OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if not _locked(descriptor):
            os.close(descriptor)
            raise NotOurs("a worker that lives has it", in_use=True)
        head, newline, _ = os.pread(descriptor, _HEAD_MAX, 0).partition(b"\n")
        journal = cls(path, descriptor, 0)
        # One whose worker died before it had written anything is anybody's.
        journal._begin = journal._done = len(head + newline)
        if journal._size and _read_head(head + newline) != store:
            journal.release()
            raise NotOurs("it holds the counts of another store, or is damaged", in_use=False)
        return journal

    @classmethod
    def paths(cls, directory: Path) -> Iterable[Path]:
        return sorted(directory.glob(f"*{_SUFFIX}"))

    def has_room(self, entries: int = 1) -> bool:
        return self._size + self._reserved + entries * ENTRY_MAX <= self._limit

    def reserve(self, entries: int) -> None:
        """Keep room for so many entries; negative: it is not needed any more."""
        self._reserved += entries * ENTRY_MAX

    def append(self, subject: Subject, units: int) -> None:
        """Raises JournalFull; then there is no such entry."""
        line = Entry(self._number + 1, subject, units).line()
        if self._size + len(line) > self._limit:
            raise JournalFull(f"its {self._limit} bytes are used up")
        try:
            written = os.pwrite(self._descriptor, line, self._size)
            if written < len(line):
                raise OSError("the disk took a part of it")
        except OSError as error:
            # The next one overwrites what there is of it.
            raise JournalFull(str(error)) from error
        self._number += 1
        self._size += len(line)
        self.waiting += 1
        self._synced = False

    def entries(self) -> Iterator[tuple[Entry, int]]:
        """Those that are not done, each with where it ends. One that the worker did not get to finish is none."""
        at, rest = self._done, b""
        while piece := os.pread(self._descriptor, min(_PIECE, self._size - at), at):
            at += len(piece)
            lines = (rest + piece).splitlines(keepends=True)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            end = at - len(rest) - sum(map(len, lines))
            for line in lines:
                end += len(line)
                try:
                    yield Entry.of(read_line(line)), end
                except ValueError:
                    _log.error("a damaged entry of the journal %s, which is not counted: %r", self._path, line[:ENTRY_MAX])

    def done(self, end: int, entries: int) -> None:
        """The store has counted `entries` more, up to where they end."""
        self._done = end
        self.waiting -= entries
        if self._done == self._size:
            os.ftruncate(self._descriptor, self._begin)
            self._done = self._size = self._begin

    def sync(self) -> None:
        """Have the disk hold what was appended. It may take a while."""
        if not self._synced:
            self._synced = True
            os.fsync(self._descriptor)

    def release(self, *, remove: bool = False) -> None:
        """Let others have it; `remove`: nobody needs it any more."""
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _locked(descriptor: int) -> bool:
    """Whether it is ours alone now, and still has its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _read_head(line: bytes) -> object:
    try:
        head = read_line(line)
    except ValueError:
        return None
    return head.get("store") if isinstance(head, dict) and head.get("journal") == _FORMAT else None
