"""The clinic as a process of its own, which ends with the demo."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .state import Unusable, shipped

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Clinic:
    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def output(self) -> IO[str]:
        """Says nothing more, and ends when the process does."""
        assert self.process.stdout is not None
        return self.process.stdout


@contextmanager
def started(folder: Path, variables: Mapping[str, str]) -> Iterator[Clinic]:
    """Answering, with its database and its log in `folder`. Raises Unusable where it does not start."""
    log = folder / "clinic.log"
    # PostgreSQL does not run as root, and whom it runs as then can't come into `folder`: the clinic finds a place for the time.
    home = {} if os.geteuid() == 0 else {"CLINIC_DATA_DIR": str(folder / "clinic")}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "clinic"],
            env={**os.environ, "PYTHONPATH": str(shipped("examples")), **home, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C reaches the demo, which lets requests in flight end before it stops the clinic.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise Unusable(f"the clinic ended with status {process.returncode}; the end of {log}:\n{_tail(log)}")
            yield Clinic(json.loads(line)["url"], process, log)
        finally:
            process.terminate()
            process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def _die_with_parent() -> None:
    """In the new process: end as by `terminate` when the demo dies, even of SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
