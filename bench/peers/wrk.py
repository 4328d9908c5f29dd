"""Load by wrk: what it is asked to send, and what it says of the answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_SCRIPT = Path(__file__).with_name("configs") / "wrk.lua"
_PATIENCE = 30  # seconds until wrk gives an answer up; then the row fails, and is not slow


class NoResult(Exception):
    """wrk ended without a result. The text is what it wrote."""


@dataclass(frozen=True)
class Load:
    """`requests` names a list (see wrk.lua). `once`: the load ends with the list. `rate`: requests a second; 0: as many as
    there are answers."""

    requests: Path
    target: str
    connections: int
    method: str = "GET"
    body: int = 0
    once: bool = False
    rate: int = 0


@dataclass(frozen=True)
class Told:
    """`refused`: answers from 400 on. `failed`: connections and requests without an answer. Times in seconds."""

    answers: int
    refused: int
    failed: int
    seconds: float
    p50: float
    p99: float
    bytes: int

    @classmethod
    def read(cls, output: str) -> Self:
        """The line that wrk.lua prints. Raises NoResult."""
        for line in output.splitlines():
            if line.startswith("RESULT "):
                told = json.loads(line.removeprefix("RESULT "))
                return cls(
                    answers=told["answers"],
                    refused=told["refused"],
                    failed=told["failed"],
                    seconds=told["microseconds"] / 1e6,
                    p50=told["p50"] / 1e6,
                    p99=told["p99"] / 1e6,
                    bytes=told["bytes"],
                )
        raise NoResult(output[-1000:])


def start(wrk: Path, port: int, load: Load, seconds: float) -> subprocess.Popen[str]:
    """wrk counts in whole seconds; a part of one becomes one."""
    environ = {
        **os.environ,
        "REQUESTS": str(load.requests),
        "METHOD": load.method,
        "TARGET": load.target,
        "BODY_BYTES": str(load.body),
        "ONCE": "1" if load.once else "0",
        "RATE": str(load.rate),
    }
    lasts = f"{max(1, round(seconds))}s"
    command = [wrk, "-t1", f"-c{load.connections}", f"-d{lasts}", f"--timeout={_PATIENCE}s", "-s", _SCRIPT]
    return subprocess.Popen(
        [*map(str, command), f"http://127.0.0.1:{port}"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> Told:
    """When it has ended by itself. Raises NoResult."""
    output, _ = process.communicate()
    return Told.read(output)


def run(wrk: Path, port: int, load: Load, seconds: float) -> Told:
    """Raises NoResult."""
    return end(start(wrk, port, load, seconds))
