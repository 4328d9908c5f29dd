"""`python -m gateway.workers NUMBER LISTENER CHANNEL`: one worker. Only a parent starts it: both sockets are inherited, and the
settings come over the channel, so that all workers have the same and no secret stands in an argument.

It ends with its parent: on Linux by a signal of the kernel (prctl(2)), everywhere when the channel ends.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import os
import pickle
import signal
import socket
import sys
from typing import NoReturn, cast

import uvloop

from gateway.api.admin import Check
from gateway.app import Gateway, open_gateway
from gateway.errors import Refused
from gateway.server import Cannot, public_listening, serve_until, stop_signalled
from gateway.settings.schema import Settings
from gateway.store.connect import Place
from gateway.telemetry.logs import configure
from gateway.telemetry.sums import dump

from .channel import Channel

_PR_SET_PDEATHSIG = 1


def main(number: int, listener: int, channel: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    configure(sys.stderr, worker=number)
    uvloop.run(_work(number, socket.socket(fileno=listener), socket.socket(fileno=channel)))


async def _work(number: int, listener: socket.socket, end: socket.socket) -> None:
    stop, channel = stop_signalled(), await Channel.over(end)
    try:
        settings, place = await _built_from(channel)
        async with open_gateway(settings, place=place, worker=number) as gateway:
            answering = asyncio.create_task(_answer(channel, gateway))
            channel.send({"serving": True})
            await serve_until(stop, [public_listening(gateway, listener, settings)], gateway.drain)
        answering.cancel()
        # What was counted since the last question.
        channel.send({"metrics": _metrics(gateway)})
    except Cannot as fault:
        channel.send({"fault": str(fault)})
        sys.exit(1)
    finally:
        await channel.close()


async def _built_from(channel: Channel) -> tuple[Settings, Place]:
    message = await channel.receive()
    if message is None:
        _leave()
    # The parent's own words, over a socket that nobody else has.
    return cast(tuple[Settings, Place], pickle.loads(base64.b64decode(str(message["built_from"]))))  # noqa: S301


async def _answer(channel: Channel, gateway: Gateway) -> None:
    while (message := await channel.receive()) is not None:
        if message["ask"] == "metrics":
            # With many labels it takes tens of milliseconds: requests don't wait for it.
            channel.send({"metrics": await asyncio.to_thread(_metrics, gateway)})
        else:
            channel.send({"ready": await _reason(gateway.checks["store"])})
    _leave()


def _metrics(gateway: Gateway) -> list[object]:
    return dump(gateway.metrics.families())


async def _reason(check: Check) -> str | None:
    """Why the check fails; None where it holds."""
    try:
        await check()
    except Refused as fault:
        return fault.detail or fault.problem.advice
    return None


def _leave() -> NoReturn:
    """The parent is gone, and with it the embedded store: what is in flight can't be settled."""
    os._exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
