"""Asks a target at its own pace whether it is well, beside the requests and without anything of a tenant's."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from random import random
from typing import NoReturn

from gateway.clock import Clock
from gateway.errors import Refused
from gateway.settings.upstreams import ActiveHealth, Timeouts

from .balance import Balance
from .connection import UpstreamConnection
from .exchange import Exchange, Fields, OutboundHead, UpstreamAborted
from .response_head import ResponseHead
from .target import Target, shortened

MAX_BODY = 64 << 10
"""So much of an answer is read; the rest is not waited for."""

_log = logging.getLogger("tenantgate.upstream")


async def keep_checking(target: Target, checks: ActiveHealth, clock: Clock) -> NoReturn:
    """Tell the target of each check. The first one is made within the first interval."""
    assert checks.path is not None
    head = OutboundHead("GET", checks.path.encode("ascii"), _fields(target))
    await asyncio.sleep(checks.interval * random())  # noqa: S311
    while True:
        target.checked(await _failure(target, head, checks.timeout, clock))
        await asyncio.sleep(shortened(checks.interval))


def _fields(target: Target) -> Fields:
    host = target.endpoint.authority.encode("ascii")
    return [(b"Host", host), (b"User-Agent", b"tenantgate"), (b"Accept", b"*/*"), (b"Connection", b"close")]


async def _failure(target: Target, head: OutboundHead, wait: float, clock: Clock) -> str:
    """Why the target is not well, or nothing."""
    try:
        async with asyncio.timeout(wait):
            return await _check(target, head, wait, clock)
    except TimeoutError:
        return f"no answer within {wait:g}s"
    except (OSError, UnicodeError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # a target that is checked no more would stay as it is for ever
        _log.exception("a check of %s broke", target.endpoint)
        return type(error).__name__


async def _check(target: Target, head: OutboundHead, wait: float, clock: Clock) -> str:
    """On a connection of its own: whether a busy pool has one to spare says nothing of the target."""
    answer = _Answer()
    patience = Timeouts.model_construct(connect=wait, first_byte=wait, idle=wait)
    connection = await target.connect(partial(UpstreamConnection, answer, patience, clock))
    try:
        if not connection.is_usable:
            return "it hung up at once"
        connection.begin(Exchange.of(Balance([target], "round_robin", clock), head, None, answer, streamed=False))
        return await answer.verdict
    finally:
        connection.abort()


class _Answer:
    """The answer to one check; also the home of its connection, which nobody uses again."""

    def __init__(self) -> None:
        self.verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._size = 0

    # Sink

    def head(self, answer: ResponseHead) -> None:
        self._status = answer.status

    def data(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_BODY:
            self.complete()

    def complete(self) -> None:
        self._decide("" if 200 <= self._status <= 299 else f"it answered {self._status}")

    def failed(self, error: Refused | UpstreamAborted) -> None:
        self._decide(str(error))

    def resume_upload(self) -> None: ...

    def pause_upload(self) -> None: ...

    def _decide(self, verdict: str) -> None:
        if not self.verdict.done():
            self.verdict.set_result(verdict)

    # Home

    def released(self, connection: UpstreamConnection) -> None:
        connection.drop()

    def closed(self, connection: UpstreamConnection) -> None: ...

    def answered(self, status: int) -> None: ...

    def let_down(self, why: str) -> None: ...
