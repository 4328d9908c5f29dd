"""Processes of the measurement: started from templates, pinned to a processor, read by what the system says of them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures.processes import family, processor_seconds, resident_bytes

from .machine import on
from .peers import Peer
from .programs import find

CONFIGS = Path(__file__).with_name("configs")
_START, _STOP = 60.0, 30.0
_VALUE = re.compile("@([A-Z_]+)@")


class DidNotStart(Exception):
    """The text says which program, and what it wrote last."""


@dataclass(frozen=True)
class Served:
    """A process that listens on `port`."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def seconds(self) -> float:
        """Processor time until now, of the processes that it has started too."""
        return processor_seconds(self.process.pid)

    def resident(self) -> int:
        """Bytes in RAM, of all its processes."""
        return sum(map(resident_bytes, family(self.process.pid)))

    def forget_output(self) -> None:
        """What has been logged so far. The file is appended to, so it starts anew."""
        os.truncate(self.output, 0)

    def last_words(self) -> str:
        """The end of what it has logged, where that may tell why."""
        lines = self.output.read_text(errors="replace").splitlines()
        return f"; it says: {lines[-1][:300]}" if lines else ""

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def render(text: str, values: Mapping[str, str]) -> str:
    """`@NAME@` becomes the value of that name, and so within values. Raises KeyError for a name without one."""
    while True:
        filled = _VALUE.sub(lambda match: values[match[1]], text)
        if filled == text:
            return text
        text = filled


def start(peer: Peer, directory: Path, values: Mapping[str, str], core: int) -> Served:
    """A peer on a port of its own, once that is open. Raises DidNotStart."""
    port = free_port()
    values = {**values, "NAME": peer.name, "PORT": str(port), **peer.values}
    for template in reversed(peer.files):
        values["CONFIG"] = str(_configured(peer, template, directory, values))
    command = [render(word, values) for word in peer.command]
    program = find(command[0])
    environ = {name: render(value, values) for name, value in peer.environ.items()}
    return run(peer.name, [str(program or command[0]), *command[1:]], directory, port, core, environ)


def run(
    name: str, command: Sequence[str], directory: Path, port: int, core: int, environ: Mapping[str, str] | None = None
) -> Served:
    """A command, once its port is open. Raises DidNotStart."""
    output = directory / f"{name}.output"
    with output.open("ab") as file, on(core):
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **(environ or {})},
        )
    served = Served(name, process, port, output)
    try:
        _await(served)
    except BaseException:
        served.stop()
        raise
    return served


def _configured(peer: Peer, template: str, directory: Path, values: Mapping[str, str]) -> Path:
    # The first is named after the peer, so that one template may serve several; others by how the first names them.
    _, _, rest = template.partition("-")
    suffix = Path(template).suffix
    path = directory / (f"{peer.name}{suffix}" if template == peer.files[0] else f"{peer.name}-{rest}")
    path.write_text(render((CONFIGS / template).read_text(), values))
    return path


def _await(served: Served) -> None:
    deadline = time.monotonic() + _START
    while True:
        try:
            socket.create_connection(("127.0.0.1", served.port), timeout=1).close()
            return
        except OSError:
            if served.process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{served.name}: {served.output.read_text(errors='replace')[-1500:]}") from None
            time.sleep(0.05)
