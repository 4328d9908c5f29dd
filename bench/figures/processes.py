"""What processes have used, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """A process and those that it has started itself."""
    found = [pid]
    for process in _PROC.glob("[0-9]*"):
        try:
            parent = int(_fields(int(process.name))[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append(int(process.name))
    return found


def processor_seconds(pid: int) -> float:
    """Of a process and those that it has started itself, in user mode and in the kernel."""
    return sum(map(_own_seconds, family(pid)))


def resident_bytes(pid: int) -> int:
    """Memory of one process that lies in RAM."""
    return int((_PROC / f"{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _own_seconds(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _fields(pid: int) -> list[str]:
    """What stands in /proc/PID/stat after the command's name, which may hold anything."""
    return (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
