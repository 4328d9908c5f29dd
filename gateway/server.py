"""Both listeners in one process: started together, drained together, stopped before the store they stand on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from gateway.app import Gateway, StartFault, open_gateway
from gateway.edge.asgi import AsgiServer
from gateway.edge.connection import ClientConnection
from gateway.edge.handler import Server
from gateway.edge.websocket import GatewayWebSocket
from gateway.errors import Refused
from gateway.identity.keyring import KeyFault
from gateway.settings.fault import Faults
from gateway.settings.schema import Settings
from gateway.store.embedded import EmbeddedStoreError

Cannot: tuple[type[Exception], ...] = (Faults, StartFault, EmbeddedStoreError, KeyFault, Refused, OSError)
"""What keeps a gateway from starting, in a way that its operator can mend."""

Ready = Callable[[str, str], None]
"""Told the URLs of the public and of the admin listener."""

# Seconds for the answers of what was still running at the end.
_LAST_ANSWERS = 1.0
# Seconds for which the body of a call may stand still.
_ADMIN_BODY_IDLE = 10.0


class Bound:
    """An address that is had: connections queue there. Raises OSError where it cannot be had."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, port), family=family, backlog=2048)
        self._host, self._port = host, self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"


class Listening:
    """A listening socket and the application behind it.

    `server` takes the HTTP requests, `app` the WebSockets. `drain` is in seconds.
    """

    def __init__(self, app: ASGIApp, server: Server, listener: socket.socket, *, drain: float) -> None:
        self._socket = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http=partial(ClientConnection, server),  # type: ignore[arg-type]  # all that is done with it is to call it
                ws=GatewayWebSocket,
                ws_max_size=1 << 20,
                ws_per_message_deflate=False,  # its processor time and memory are the clients' to spend, not ours
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(drain)),
            )
        )

    async def run(self) -> None:
        """Serve until `stop`; requests in flight are finished before it returns, as far as `drain` seconds allow."""
        await self._server.serve(sockets=[self._socket])
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, ClientConnection):
                connection.expire()
        if tasks := list(self._server.server_state.tasks):
            await asyncio.wait(tasks, timeout=_LAST_ANSWERS)

    def stop(self) -> None:
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """Signals belong to the process, which has two of these."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until_signalled(settings: Settings, ready: Ready) -> None:
    """Serve both listeners until SIGTERM or SIGINT; `ready` is told their URLs, public and admin, once both accept.

    Raises what stands in `Cannot`.
    """
    async with open_gateway(settings) as gateway:
        public_at, admin_at = settings.listeners.public, settings.listeners.admin
        public, admin = Bound(public_at.host, public_at.port), Bound(admin_at.host, admin_at.port)
        # The public one stops first, so that the admin one can tell about it until the end.
        listenings = public_listening(gateway, public.socket, settings), admin_listening(gateway, admin.socket)
        ready(public.url, admin.url)
        await serve_until(stop_signalled(), listenings, gateway.drain)


def public_listening(gateway: Gateway, listener: socket.socket, settings: Settings) -> Listening:
    return Listening(gateway.public, gateway.express, listener, drain=settings.listeners.public.drain)


def admin_listening(gateway: Gateway, listener: socket.socket) -> Listening:
    return Listening(gateway.admin, AsgiServer(gateway.admin, _ADMIN_BODY_IDLE), listener, drain=1)


def stop_signalled() -> asyncio.Event:
    """Set when SIGTERM or SIGINT comes, which do nothing else from now on."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve_until(stop: asyncio.Event, listenings: Sequence[Listening], drain: Callable[[], None]) -> None:
    """Serve all until `stop`, or until one ends; then call `drain`, and stop them one after another."""
    # What the start has made stays. The garbage collector would look at it again and again, for up to a tenth of a second each
    # time, in which no client is answered.
    gc.collect()
    gc.freeze()
    servers = [asyncio.create_task(listening.run()) for listening in listenings]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*servers, stopped], return_when=asyncio.FIRST_COMPLETED)
    drain()
    for listening, server in zip(listenings, servers, strict=True):
        listening.stop()
        await server
    stopped.cancel()
