"""The workers of a gateway: so many at any time, and told of as one."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress
from typing import TextIO

from gateway.app import StartFault
from gateway.errors import WORKER_UNAVAILABLE, Refused
from gateway.settings.schema import Settings
from gateway.store.connect import Place
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.sums import Sums

from .worker import Worker

_log = logging.getLogger(__name__)

# Seconds. One that dies young is replaced ever later, so that a fault that kills all of them does not keep the machine busy.
_YOUNG, _DELAY, _DELAY_MAX = 10.0, 0.1, 5.0
# Seconds between two questions: a worker that is killed takes along what it has counted since.
_POLL = 5.0
_STARTS = 3


class Crew:
    """`count` workers, numbered from 1, that accept from one queue: none that is dead or busy keeps a connection waiting."""

    def __init__(self, settings: Settings, place: Place, count: int, listener: socket.socket, logs: TextIO) -> None:
        self._settings = settings
        self._place = place
        self._numbers = range(1, count + 1)
        self._listener = listener
        self._logs = logs
        self._workers: dict[int, Worker] = {}
        self._stopping = asyncio.Event()
        self._places: list[asyncio.Task[None]] = []
        self._sums = Sums()
        self.all_serve = asyncio.Event()

    async def run(self, metrics: Metrics) -> None:
        """Keep all places filled until `stop`. Raises StartFault where a worker fails at its start again and again."""
        self._places = [asyncio.create_task(self._fill(number, metrics)) for number in self._numbers]
        polling = asyncio.create_task(self._poll())
        try:
            done, _ = await asyncio.wait(self._places, return_when=asyncio.FIRST_EXCEPTION)
            for place in done:
                place.result()
        finally:
            polling.cancel()

    async def stop(self, within: float) -> None:
        """Have all of them drain and end; those that have not within so many seconds are killed."""
        self._stopping.set()
        for worker in self._workers.values():
            worker.terminate()
        if self._places:
            await asyncio.wait(self._places, timeout=within)
        for number, worker in self._workers.items():
            _log.error("worker %d (process %d) did not end within %g s and is killed", number, worker.pid, within)
            worker.kill()
        await asyncio.gather(*self._places, return_exceptions=True)

    async def check(self) -> None:
        """Raises Refused(WORKER_UNAVAILABLE) where one does not serve, does not answer, or does not reach the store."""
        faults = await asyncio.gather(*map(self._fault, self._numbers))
        if told := [fault for fault in faults if fault is not None]:
            raise Refused(WORKER_UNAVAILABLE, " ".join(told))

    async def exposition(self, own: Metrics, accept: str) -> tuple[bytes, str]:
        """Of a worker that does not answer: what it told last."""
        await self._ask_for_metrics()
        living = [own.families(), *(worker.metrics for worker in self._workers.values())]
        return self._sums.exposition(accept, living)

    async def _fill(self, number: int, metrics: Metrics) -> None:
        failed, delay = 0, 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            served, ended = await self._work(number)
            if self._stopping.is_set():
                return
            failed = 0 if served else failed + 1
            # Later the others serve, and a gateway started anew would fare no better.
            if failed == _STARTS and not self.all_serve.is_set():
                raise StartFault(
                    f"{_STARTS} times in a row a worker did not get to serve; the last time worker {number} {ended}"
                )
            if time.monotonic() - began > _YOUNG:
                delay = 0.0
            _log.error("worker %d %s; another starts in %.1f s", number, ended, delay)
            metrics.worker_restart()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(max(_DELAY, 2 * delay), _DELAY_MAX)

    async def _work(self, number: int) -> tuple[bool, str]:
        """A worker from its start to its end: whether it has ever served, and how it ended."""
        served = False

        def serving() -> None:
            nonlocal served
            served = True
            _log.info("worker %d (process %d) serves", number, worker.pid)
            if all(other in self._workers and self._workers[other].serves for other in self._numbers):
                self.all_serve.set()

        try:
            worker = await Worker.start(number, self._settings, self._place, self._listener, self._logs)
        except OSError as error:
            return False, f"did not start: {error}"
        self._workers[number] = worker
        if self._stopping.is_set():
            worker.terminate()
        try:
            ended = await worker.run(serving)
            return served, f"(process {worker.pid}) ended with {ended}"
        finally:
            del self._workers[number]
            self._sums.keep(worker.metrics)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            await self._ask_for_metrics()

    async def _ask_for_metrics(self) -> None:
        asked = [worker.ask("metrics") for worker in self._workers.values() if worker.serves]
        await asyncio.gather(*asked, return_exceptions=True)

    async def _fault(self, number: int) -> str | None:
        worker = self._workers.get(number)
        if worker is None or not worker.serves:
            return f"Worker {number} does not serve."
        try:
            reason = await worker.ask("ready")
        except TimeoutError:
            return f"Worker {number} does not answer."
        return None if reason is None else f"Worker {number}: {reason}"
