"""The parent of several workers: it has both sockets and the embedded store, and serves the admin listener for all."""

from __future__ import annotations

import asyncio
from typing import TextIO

from gateway.app import open_gateway
from gateway.server import Bound, Ready, admin_listening, serve_until_signalled, stop_signalled
from gateway.settings.schema import Settings
from gateway.store.connect import open_server

from .crew import Crew

# Seconds that a worker may need beyond the drain, to settle with the store.
_BEYOND_DRAIN = 5.0


async def serve_by(count: int, settings: Settings, ready: Ready, logs: TextIO) -> None:
    """Serve by `count` processes until SIGTERM or SIGINT; `ready` is told both URLs once all of them accept.

    One needs no parent. Several write their access log where this process has its standard output, and all else to `logs`.
    Raises what stands in `Cannot`.
    """
    if count == 1:
        await serve_until_signalled(settings, ready)
    else:
        await _serve_by_workers(count, settings, ready, logs)


async def _serve_by_workers(count: int, settings: Settings, ready: Ready, logs: TextIO) -> None:
    stop = stop_signalled()
    listeners = settings.listeners
    public, admin = Bound(listeners.public.host, listeners.public.port), Bound(listeners.admin.host, listeners.admin.port)
    async with open_server(settings.store) as place:
        crew = Crew(settings, place, count, public.socket, logs)
        # What can't be built is found out here, and told once.
        async with open_gateway(settings, place=place, others=crew) as gateway:
            listening = admin_listening(gateway, admin.socket)

            async def tell() -> None:
                await crew.all_serve.wait()
                ready(public.url, admin.url)

            telling = asyncio.create_task(tell())
            parts = [telling, asyncio.create_task(listening.run()), asyncio.create_task(crew.run(gateway.metrics))]
            for part in parts:
                part.add_done_callback(lambda ended: None if ended is telling and _well(ended) else stop.set())
            await stop.wait()
            telling.cancel()
            gateway.drain()
            public.socket.close()
            await crew.stop(listeners.public.drain + _BEYOND_DRAIN)
            # Last, so that it tells until the end.
            listening.stop()
            for ended in await asyncio.gather(*parts, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended


def _well(ended: asyncio.Task[None]) -> bool:
    return ended.cancelled() or ended.exception() is None
