"""One owner at a time for a directory, by an advisory lock that ends with the last process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DirectoryLock:
    """flock(2) on a file that names its owner. A child that inherits the descriptor holds the lock as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False where somebody else has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def owner(self) -> int | None:
        """Process id of the present or last owner."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def fileno(self) -> int:
        assert self._descriptor is not None, "the lock is not held"
        return self._descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
