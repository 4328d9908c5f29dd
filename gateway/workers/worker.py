"""One worker, as its parent sees it."""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Self, TextIO

from prometheus_client import Metric

from gateway.settings.schema import Settings
from gateway.store.connect import Place
from gateway.telemetry.sums import load

from .channel import Channel, Message

# Seconds
_START, _END, _ANSWER = 60.0, 5.0, 1.0
_SIGNALS = {number.value: number.name for number in signal.Signals}


class Worker:
    """`metrics` are what it told last."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self._process = process
        self._channel = channel
        self._asked: dict[str, asyncio.Future[object]] = {}
        self._fault = ""
        self.metrics: Sequence[Metric] = ()
        self.serves = False

    @classmethod
    async def start(cls, number: int, settings: Settings, place: Place, listener: socket.socket, logs: TextIO) -> Self:
        """A process with the modules, the variables and the standard output of this one; `logs` is its standard error.

        To be called in the main thread: on Linux a worker ends with the *thread* that started it. Raises OSError.
        """
        own, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                # No folder but those of this process: not the one in which it happens to run.
                *(sys.executable, "-P", "-m", "gateway.workers", str(number), str(listener.fileno()), str(its.fileno())),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sys.stdout,
                stderr=logs,
                pass_fds=(listener.fileno(), its.fileno()),
                # Ctrl-C reaches the parent, which lets all of them drain.
                start_new_session=True,
            )
        worker = cls(process, await Channel.over(own))
        worker._channel.send({"built_from": base64.b64encode(pickle.dumps((settings, place))).decode()})
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, serving: Callable[[], None]) -> str:
        """Until it has ended; how it did. `serving` is called once it accepts connections."""
        late = asyncio.get_running_loop().call_later(_START, self._is_late)
        try:
            while (message := await self._channel.receive()) is not None:
                if "serving" in message:
                    late.cancel()
                    self.serves = True
                    serving()
                self._hear(message)
            return await self._ended()
        finally:
            late.cancel()
            self.serves = False
            self.kill()
            await self._channel.close()
            for asked in self._asked.values():
                asked.cancel()

    async def ask(self, what: str) -> object:
        """Its answer. Raises TimeoutError where there is none in a second, or never will be."""
        if what not in self._asked:
            self._asked[what] = asyncio.get_running_loop().create_future()
            self._channel.send({"ask": what})
        asked = self._asked[what]
        done, _ = await asyncio.wait([asked], timeout=_ANSWER)
        if not done or asked.cancelled():
            raise TimeoutError
        return asked.result()

    def terminate(self) -> None:
        """Have it finish the requests in flight, and end."""
        if self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    def _hear(self, message: Message) -> None:
        for name, value in message.items():
            if name == "metrics":
                self.metrics = load(value)
            elif name == "fault":
                self._fault = str(value)
            if name in self._asked:
                self._asked.pop(name).set_result(value)

    def _is_late(self) -> None:
        self._fault = f"it did not serve within {_START:g} s"
        self.kill()

    async def _ended(self) -> str:
        """The channel ends just before the process does."""
        try:
            async with asyncio.timeout(_END):
                status = await self._process.wait()
        except TimeoutError:
            self.kill()
            status = await self._process.wait()
        told = f"status {status}" if status >= 0 else f"signal {_SIGNALS.get(-status, -status)}"
        return f"{told}: {self._fault}" if self._fault else told
