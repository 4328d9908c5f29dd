"""Requests to a gateway: sent again where that can't do anything twice, and every refusal raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from .refusal import Refusal, refusal_of

Pause = Callable[[float], Awaitable[None]]

_TIMEOUT = 30.0
_ATTEMPTS, _FIRST_PAUSE, _LONGEST_PAUSE = 4, 0.2, 10.0
# What may well be answered otherwise a moment later. A POST is different: see `_worth_again`.
_PASSING = frozenset({429, 502, 503, 504})


class Unreachable(Exception):
    """No answer came, however often it was tried. Whether the request was done is not known."""


class Connection:
    """`headers` are sent with every request. `pause` waits for some seconds."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout: float = _TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.http = httpx.AsyncClient(base_url=base_url, headers=dict(headers), timeout=timeout, transport=transport)
        self._pause = pause

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self.http.aclose()

    # Any: JSON; the methods that call it say of what form it is.
    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The document that is answered. Raises Refusal, and Unreachable."""
        return (await self.answer(method, path, query=query, body=body, headers=headers)).json()

    async def answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A GET and a DELETE are sent again where no answer came, or one that may pass. So is a POST, which always has an
        `Idempotency-Key`. A PATCH is sent once."""
        sent = {"Idempotency-Key": uuid4().hex, **(headers or {})} if method == "POST" else {**(headers or {})}
        request = self.http.build_request(method, path, params=_told(query or {}), json=body, headers=sent)
        fault: Exception = Unreachable(f"no answer from {request.url.host}")
        for attempt in range(_ATTEMPTS if method != "PATCH" else 1):
            if attempt:
                await self._pause(_delay(fault, attempt))
            try:
                response = await self.http.send(request)
            except httpx.TransportError as error:
                fault = Unreachable(f"no answer from {request.url.host}: {error or type(error).__name__}")
                continue
            if response.is_success:
                return response
            refusal = refusal_of(response)
            if not _worth_again(method, refusal, attempt):
                raise refusal
            fault = refusal
        raise fault

    async def each(self, path: str, query: Mapping[str, object]) -> AsyncIterator[Any]:
        """Everything of a list, a page at a time. Raises what `send` raises."""
        cursor: str | None = None
        while True:
            page = await self.send("GET", path, query={**query, "cursor": cursor})
            for one in page["data"]:
                yield one
            cursor = page["next_cursor"]
            if cursor is None:
                return


def matching(if_match: str | None) -> Mapping[str, str]:
    """The header of a change that is made under a condition."""
    return {} if if_match is None else {"If-Match": if_match}


def _worth_again(method: str, refusal: Refusal, attempt: int) -> bool:
    """A POST whose outcome the gateway does not know keeps its key occupied: only who has lost an answer waits for that one."""
    if method == "POST":
        waiting = attempt > 0 and refusal.code == "IDEMPOTENCY_KEY_IN_USE"
        return waiting or refusal.status == 429
    return refusal.status in _PASSING


def _delay(fault: Exception, attempt: int) -> float:
    said = fault.retry_after if isinstance(fault, Refusal) else None
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1) if said is None else said)


def _told(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}
