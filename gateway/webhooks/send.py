"""One attempt to deliver an event to a webhook."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import httpx

from gateway.tenancy.webhook import Webhook

from .address import Destination, Rules, chosen
from .event import Event
from .signature import signed_headers

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text. Raises OSError."""

DEADLINE = 10.0
"""Seconds for a whole attempt."""
_ANSWER_MAX = 64 << 10
_GONE = 410
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it ended. `error` is None where the endpoint has taken the event; it is for whoever owns the endpoint, and says
    nothing of what lies behind its name. `retry_after` is in seconds."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None

    @property
    def gone(self) -> bool:
        """The endpoint wants no more of them."""
        return self.status == _GONE


class SystemResolver:
    """The system's own, on threads of its own: a name that is slow to resolve holds up nothing but deliveries."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "webhook-resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Sender:
    """Connects to the very address that was looked at; certificates are held against the name. No proxy, no redirect, no
    cookies.

    `tls` is for tests: whom to trust.
    """

    def __init__(self, rules: Rules, resolve: Resolve, tls: ssl.SSLContext | None = None) -> None:
        self._rules = rules
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    async def send(self, webhook: Webhook, event: Event, now: float) -> Attempt:
        """`now` is in seconds since 1970. Raises nothing but CancelledError."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._attempt(webhook, event, now)
        except TimeoutError:
            return Attempt(error=f"no whole answer within {DEADLINE:g} seconds")
        except (httpx.InvalidURL, ValueError):
            return Attempt(error="the URL can't be used")
        except httpx.HTTPError:
            return Attempt(error="the connection broke off, or what came was no HTTP")
        except OSError:
            return Attempt(error="the host has no address")

    async def _attempt(self, webhook: Webhook, event: Event, now: float) -> Attempt:
        destination = Destination.of(webhook.url)
        if destination.scheme == "http" and not self._rules.allow_http:
            return Attempt(error="only https is allowed")
        addresses = chosen(await self._resolve(destination.host, destination.port), self._rules)
        headers = {
            **signed_headers(webhook.secrets, event.id, now, event.body),
            "Host": destination.authority,
            "Content-Type": "application/json",
            "User-Agent": "tenantgate",
            # Compressed, a small answer could grow beyond any bound.
            "Accept-Encoding": "identity",
        }
        failed = Attempt(error="the host's address is not allowed")
        async with httpx.AsyncClient(trust_env=False, verify=self._tls, timeout=DEADLINE) as client:
            for address in addresses:
                request = client.build_request(
                    "POST",
                    destination.at(address),
                    content=event.body,
                    headers=headers,
                    extensions={"sni_hostname": destination.host},
                )
                try:
                    return await _exchanged(client, request)
                except httpx.ConnectError as error:
                    # Nothing was sent: another address may do.
                    tls = isinstance(_root(error), ssl.SSLError)
                    failed = Attempt(error="the TLS handshake failed" if tls else "no connection")
        return failed


async def _exchanged(client: httpx.AsyncClient, request: httpx.Request) -> Attempt:
    response = await client.send(request, stream=True)
    try:
        await _read(response)
    finally:
        await response.aclose()
    return _outcome(response)


async def _read(response: httpx.Response) -> None:
    """To its end, so that it was an answer; of one that is too long it was enough."""
    size = 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > _ANSWER_MAX:
            return


def _outcome(response: httpx.Response) -> Attempt:
    status, wait = response.status_code, response.headers.get("retry-after", "")
    if 200 <= status < 300:
        return Attempt(status)
    if 300 <= status < 400:
        return Attempt(status, f"answered {status}: redirects are not followed")
    return Attempt(status, f"answered {status}", float(wait) if _SECONDS.fullmatch(wait) else None)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return error
