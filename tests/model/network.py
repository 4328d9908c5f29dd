"""The way between a worker and the store, and what can happen to a call on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from gateway.store.client import Client
from gateway.store.durable import Durable
from gateway.store.script import Script
from gateway.store.wire import Part, Reply, StoreError

from .virtual import VirtualClock, VirtualStore, in_virtual_time

Watch = Callable[[str], Callable[[Reply], None]]

DEADLINE = 0.5
_QUICK, _SLOW, _LATE = 0.0002, 0.3, 0.7
State = Literal["fine", "slow", "late", "requests lost", "replies lost"]
"""`slow`: replies take long. `late`: calls reach the store when their caller has given up."""
STATES: tuple[State, ...] = ("fine", "slow", "late", "requests lost", "replies lost")


Shard = Literal["all", "tenants", "organizations"]
SHARDS: tuple[Shard, ...] = ("all", "tenants", "organizations")


@dataclass
class Link:
    """`deaf`: the worker hears nothing that is published. `shard`: whose keys lie where `state` leads; the way to the others is
    fine."""

    state: State = "fine"
    deaf: bool = False
    shard: Shard = "all"

    def state_for(self, parts: tuple[Part, ...]) -> State:
        """Of the way that a call takes."""
        if self.shard == "all":
            return self.state
        of_an_organization = any("{org:" in str(part) for part in parts[:4])
        return self.state if of_an_organization == (self.shard == "organizations") else "fine"


@dataclass
class Execution:
    """When the store ran a request's admission last, in microseconds since 1970."""

    at: int = 0


executed: ContextVar[Execution | None] = ContextVar("executed", default=None)


class VirtualClient(Client):
    """Calls arrive, and are answered, in their order, but for those that were given up. `watch` is told the name of every
    script that runs (empty: a command), and answers who is told of its reply."""

    def __init__(self, server: VirtualStore, clock: VirtualClock, link: Link, watch: Watch) -> None:
        super().__init__("unix:///nowhere", DEADLINE)
        self._server = server
        self._clock = clock
        self._link = link
        self._watch = watch
        self._names: dict[Part, str] = {}
        self._arrives = self._answered = 0.0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        there = in_virtual_time(script)
        self._names[there.sha] = self._names[there.text] = script.name
        return await super().run(there, keys, args)

    async def close(self) -> None:
        pass

    async def _send(self, parts: tuple[Part, ...], ends: float) -> Reply:
        loop, name, state = asyncio.get_running_loop(), self._names.get(parts[1], ""), self._link.state_for(parts)
        reply: asyncio.Future[Reply] = loop.create_future()
        execution = executed.get()
        if state == "late":
            loop.call_later(_LATE, self._arrive, name, parts, reply, execution)
        elif state != "requests lost":
            self._arrives = max(self._arrives, loop.time() + _QUICK)
            loop.call_at(self._arrives, self._arrive, name, parts, reply, execution)
        try:
            async with asyncio.timeout_at(ends):
                return await reply
        except TimeoutError:
            raise StoreError("no answer within the deadline") from None

    def _arrive(self, name: str, parts: tuple[Part, ...], reply: asyncio.Future[Reply], execution: Execution | None) -> None:
        told = self._watch(name)
        try:
            answer, error = self._server.execute(*parts), None
        except StoreError as refused:
            answer, error = None, refused
        if error is None:
            if name == "admit" and execution is not None:
                execution.at = self._clock.micros
            told(answer)
        state = self._link.state_for(parts)
        if state == "replies lost":
            return
        loop = asyncio.get_running_loop()
        self._answered = max(self._answered, loop.time() + (_SLOW if state == "slow" else _QUICK))
        loop.call_at(self._answered, _answer, reply, answer, error)


def _answer(reply: asyncio.Future[Reply], answer: Reply, error: StoreError | None) -> None:
    if reply.done():
        return
    if error is None:
        reply.set_result(answer)
    else:
        reply.set_exception(error)


class OnDiskAlready(Durable):
    async def wait(self) -> None:
        pass

    async def close(self) -> None:
        pass
