"""Where a head leads is remembered when it has come twice, and not before."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from bench.profiling.inside import inside
from bench.profiling.transports import Client, MemoryLoop
from gateway.express.flow import Flow

FROM = SimpleNamespace(peer="127.0.0.1", scheme="http")


def test_a_head_is_remembered_when_it_has_come_twice():
    async def recalled() -> list[bool]:
        async with inside(1) as running:
            client, caller, found = Client(running.gateway), running.callers[0], list[bool]()
            for name in ("one", "one", "another", "another", "one"):
                request = caller.by_token(f"\r\nX-Trace: {name}")
                # Of one for which the store is asked, nothing is learned.
                while not client.ask(request):
                    await client.wait()
                flow = running.gateway.express.recall(FROM, request.removesuffix(b"\r\n\r\n"))
                found.append(isinstance(flow, Flow))
            return found

    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        assert runner.run(recalled()) == [False, True, False, True, True]
