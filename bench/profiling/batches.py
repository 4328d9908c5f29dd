"""Many short batches of hot requests, timed by themselves and with every call recorded, in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from statistics import median

from .recorder import Recorded, Recorder
from .transports import Client

_SIZE = 25
_PAUSE = 0.002
_COUNTED = 5


@dataclass(frozen=True)
class Measured:
    """Of batches of `size` requests each: processor seconds of those that ran by themselves; what was recorded of the others;
    some in which calls of functions in C were counted. `waited`: batches that are left out, since a request had to ask the
    store. `loops`: see `loop`."""

    size: int
    plain: Sequence[float]
    recorded: Sequence[Recorded]
    counted: Sequence[Recorded]
    waited: int
    loops: Sequence[float]

    @property
    def least(self) -> float:
        """Seconds of processor time for one request, in the best batch."""
        return min(self.plain) / self.size

    @property
    def median(self) -> float:
        return median(self.plain) / self.size


async def measure(client: Client, requests: Iterator[bytes], warm: int, seconds: float, size: int = _SIZE) -> Measured:
    """Send one after the other, of `requests` without end, the first `warm` of them unmeasured. Raises Refused where one is not
    answered with 200."""
    for request in islice(requests, warm):
        if not client.ask(request):
            await client.wait()
    batches = _Batches(client, requests, size)
    plain, recorded, loops = list[float](), list[Recorded](), list[float]()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or not plain:
        plain.append(await batches.good(nullcontext()))
        recorded.append(await batches.recorded(Recorder()))
        loops.append(loop())
    counted = [await batches.recorded(Recorder(builtin=True)) for _ in range(_COUNTED)]
    return Measured(size, plain, recorded, counted, batches.waited, loops)


class _Batches:
    def __init__(self, client: Client, requests: Iterator[bytes], size: int) -> None:
        self._client = client
        self._requests = requests
        self._size = size
        self.waited = 0

    async def good(self, context: AbstractContextManager[object]) -> float:
        """Processor seconds of a batch within `context` in which no request had to wait."""
        while True:
            # The ledger tells the store in between, for all requests of the moment.
            await asyncio.sleep(_PAUSE)
            spent = await self._batch(context)
            if spent is not None:
                return spent
            self.waited += 1
            await self._client.wait()

    async def recorded(self, recorder: Recorder) -> Recorded:
        await self.good(recorder)
        return recorder.taken()

    async def _batch(self, context: AbstractContextManager[object]) -> float | None:
        """None where a request has to wait. What lines of log have gathered is written at the end."""
        requests = list(islice(self._requests, self._size))
        with context:
            started = time.process_time()
            for request in requests:
                if not self._client.ask(request):
                    return None
            await asyncio.sleep(0)
            return time.process_time() - started


def loop() -> float:
    """Seconds that always the same work takes, which tells how fast the machine is at the moment."""
    started = time.process_time()
    for _ in range(20):
        sum(range(1000))
    return (time.process_time() - started) / 20
