"""A request whose head came before leaves nothing behind that only the garbage collector would find."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bench.profiling.inside import Caller, inside
from bench.profiling.transports import Client, MemoryLoop


@pytest.mark.parametrize("made", [Caller.by_token, Caller.by_key])
def test_a_repeated_request_leaves_no_garbage(made):
    async def left() -> int:
        async with inside(1) as running:
            client, request = Client(running.gateway), made(running.callers[0])
            for _ in range(50):
                gc.collect()
                if all(client.ask(request) for _ in range(10)):
                    return gc.collect()
                # One of them has asked the store, and is answered later.
                await client.wait()
            raise AssertionError("there are always some that ask the store")

    gc.disable()
    try:
        with asyncio.Runner(loop_factory=MemoryLoop) as runner:
            assert runner.run(left()) == 0
    finally:
        gc.enable()
