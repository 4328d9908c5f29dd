"""Both listeners in one process: started together, drained together, stopped before the store they stand on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from gateway.app import StartFault, open_gateway
from gateway.edge.protocol import GatewayProtocol
from gateway.edge.websocket import GatewayWebSocket
from gateway.errors import Refused
from gateway.identity.keyring import KeyFault
from gateway.settings.fault import Faults
from gateway.settings.schema import Settings
from gateway.store.embedded import EmbeddedStoreError

Cannot: tuple[type[Exception], ...] = (Faults, StartFault, EmbeddedStoreError, KeyFault, Refused, OSError)
"""What keeps a gateway from starting, in a way that its operator can mend."""

# Seconds. Longer than load balancers keep their connections (60 s is usual), so that none of them meets one just closed.
_KEEP_ALIVE = 75


class Listening:
    """A bound socket and the application behind it. Bound at once, so that an address in use is known before anything starts.

    `drain` is in seconds. `date_header`: the server adds `Date`; not before an application that hands on an upstream's.

    Raises OSError where the address cannot be had.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, drain: float, date_header: bool) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=2048)
        self.host, self.port = host, self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=GatewayProtocol,
                ws=GatewayWebSocket,
                ws_max_size=1 << 20,
                ws_per_message_deflate=False,  # its processor time and memory are the clients' to spend, not ours
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=date_header,
                timeout_keep_alive=_KEEP_ALIVE,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(drain)),
            )
        )

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def run(self) -> None:
        """Serve until `stop`; requests in flight are finished before it returns, as far as `drain` seconds allow."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Signals belong to the process, which has two of these."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until_signalled(settings: Settings, ready: Callable[[str, str], None]) -> None:
    """Serve both listeners until SIGTERM or SIGINT; `ready` is told their URLs, public and admin, once both accept.

    Raises what stands in `Cannot`.
    """
    async with open_gateway(settings) as gateway:
        public_at, admin_at = settings.listeners.public, settings.listeners.admin
        public = Listening(gateway.public, public_at.host, public_at.port, drain=public_at.drain, date_header=False)
        admin = Listening(gateway.admin, admin_at.host, admin_at.port, drain=1, date_header=True)
        ready(public.url, admin.url)
        await _run(public, admin, gateway.drain)


async def _run(public: Listening, admin: Listening, drain: Callable[[], None]) -> None:
    """The public listener stops first, so that the admin one can tell about it until the end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [asyncio.create_task(public.run()), asyncio.create_task(admin.run())]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*servers, stopped], return_when=asyncio.FIRST_COMPLETED)
    drain()
    for listening, server in zip((public, admin), servers, strict=True):
        listening.stop()
        await server
    stopped.cancel()
