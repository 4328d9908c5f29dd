"""A closed loop over kept connections: on each, the next request leaves when the answer before it has come."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .connection import Answer, Connection
from .request import Request

_CONNECT = 10.0
# Seconds that answers may still take when the time is over.
_PATIENCE = 10.0


class Unreachable(Exception):
    """No connection came about; the text says to where."""


@dataclass
class Tally:
    """`answers` by status and code, which is empty but for a refusal of the gateway; `took`: seconds of each; `broken`: by
    reason, requests that got no whole answer; `seconds`: until the last answer."""

    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    took: array[float] = field(default_factory=lambda: array("d"))
    broken: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        return sorted(self.took)[min(int(share * len(self.took)), len(self.took) - 1)]


async def ask(request: Request) -> Answer:
    """One answer to one request. Raises Unreachable, also where no whole answer comes."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer | str] = loop.create_future()

    def end(answer: Answer | str) -> None:
        if not answered.done():
            answered.set_result(answer)

    connection = await _connect(request, end)
    try:
        connection.send()
        async with asyncio.timeout(_PATIENCE):
            answer = await answered
    except TimeoutError:
        raise Unreachable(f"{request.host}:{request.port} gives no answer within {_PATIENCE:g} s.") from None
    finally:
        connection.close()
    if isinstance(answer, str):
        raise Unreachable(f"{request.host}:{request.port} gives no answer: {answer}.")
    return answer


class Load:
    def __init__(self, request: Request, connections: int, seconds: float) -> None:
        self._request = request
        self._count = connections
        self._length = seconds
        self._ends = 0.0
        self._active = 0
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._tally = Tally()

    async def run(self) -> Tally:
        """Raises Unreachable where a connection can't be made at the beginning; later that only ends the connection."""
        slots = [_Slot(self) for _ in range(self._count)]
        try:
            for slot in slots:
                slot.connection = await self.connect(slot)
            self._active, started = self._count, time.perf_counter()
            self._ends = started + self._length
            for slot in slots:
                slot.connection.send()
            try:
                async with asyncio.timeout(self._length + _PATIENCE):
                    await self._over.wait()
            except TimeoutError:
                self._tally.broken[f"no answer within {_PATIENCE:g} s after the end"] += self._active
            self._tally.seconds = time.perf_counter() - started
        finally:
            for task in self._tasks:
                task.cancel()
            for connection in self._connections:
                connection.close()
        return self._tally

    async def connect(self, slot: _Slot) -> Connection:
        connection = await _connect(self._request, slot.ended)
        self._connections.add(connection)
        return connection

    def count(self, answer: Answer | str) -> bool:
        """Whether another request is due after it."""
        if isinstance(answer, str):
            self._tally.broken[answer] += 1
        else:
            self._tally.answers[answer.status, answer.code] += 1
            self._tally.took.append(answer.seconds)
        return time.perf_counter() < self._ends

    def again(self, slot: _Slot) -> None:
        """The slot needs a new connection."""
        task = asyncio.create_task(self._again(slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def leave(self, reason: str = "") -> None:
        """A slot sends no more."""
        if reason:
            self._tally.broken[reason] += 1
        self._active -= 1
        if self._active == 0:
            self._over.set()

    async def _again(self, slot: _Slot) -> None:
        self._connections.discard(slot.connection)
        slot.connection.close()
        try:
            slot.connection = await self.connect(slot)
        except Unreachable:
            self.leave("no new connection could be made")
        else:
            slot.connection.send()


class _Slot:
    """One of the requests that are under way at any time."""

    connection: Connection

    def __init__(self, load: Load) -> None:
        self._load = load

    def ended(self, answer: Answer | str) -> None:
        if not self._load.count(answer):
            self._load.leave()
        elif isinstance(answer, Answer) and answer.persistent:
            self.connection.send()
        else:
            self._load.again(self)


async def _connect(request: Request, ended: Callable[[Answer | str], None]) -> Connection:
    """Raises Unreachable."""
    try:
        async with asyncio.timeout(_CONNECT):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(request, ended), request.host, request.port, ssl=request.tls
            )
    except TimeoutError:
        raise Unreachable(f"No connection to {request.host}:{request.port} within {_CONNECT:g} s.") from None
    except OSError as error:
        raise Unreachable(f"No connection to {request.host}:{request.port}: {error.strerror or error}.") from None
    return connection
