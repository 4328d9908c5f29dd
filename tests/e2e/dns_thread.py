"""The tests' DNS server in a thread, for gateways that run in processes of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.registry.dns_server import Zone, served


@contextmanager
def served_in_thread() -> Iterator[Zone]:
    started, loop, zones = threading.Event(), asyncio.new_event_loop(), list[Zone]()
    over = asyncio.Event()

    async def serve() -> None:
        async with served() as zone:
            zones.append(zone)
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(10)
    try:
        yield zones[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
