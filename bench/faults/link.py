"""The way to a store, in a process of its own, so that it can be held, slowed, made deaf, or led elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress

_PIECE = 1 << 16
_PUBLISHED = b"$7\r\nmessage\r\n"


class Link:
    """`url` leads to the store at `target` (`host:port`)."""

    def __init__(self, target: str) -> None:
        command = [sys.executable, "-m", "bench.faults.link", target]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self._read())

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def hold(self) -> None:
        """Nothing goes through; new connections are accepted. What was sent meanwhile arrives after `let_through`."""
        self._say("hold")

    def let_through(self) -> None:
        """All goes through, as at the start."""
        self._say("pass")

    def deafen(self) -> None:
        """What is published never arrives. The connections live, and all else goes through."""
        self._say("deafen")

    def slow(self, seconds: float) -> None:
        """Each piece takes that much longer, each way."""
        self._say(f"slow {seconds}")

    def lead_to(self, target: str) -> None:
        """Connections end, and new ones lead to another store."""
        self._say(f"to {target}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the link has ended")
        return line


class _Relay:
    """The other side of `Link`: what it says comes as lines of the standard input."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open, self._deaf, self._delay = asyncio.Event(), False, 0.0
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def run(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            self._do(*words)
            print("done", flush=True)

    def _do(self, action: str, value: str = "") -> None:
        if action == "hold":
            self._open.clear()
        elif action == "pass":
            self._deaf, self._delay = False, 0.0
            self._open.set()
        elif action == "deafen":
            self._deaf = True
        elif action == "slow":
            self._delay = float(value)
        elif action == "to":
            self._target = value
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            host, _, port = self._target.partition(":")
            answers, beyond = await asyncio.open_connection(host, int(port))
            self._writers.add(beyond)
            tasks = [asyncio.create_task(self._pump(reader, beyond)), asyncio.create_task(self._pump(answers, writer))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        except OSError:
            pass
        finally:
            for end in filter(None, (writer, beyond)):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._open.wait()
                if not (self._deaf and _PUBLISHED in piece):
                    writer.write(piece)
                    await writer.drain()


if __name__ == "__main__":
    asyncio.run(_Relay(sys.argv[1]).run())
