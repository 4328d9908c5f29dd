"""The operators' API, on the admin listener."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from .connection import Connection


class Operator:
    """`key` is an admin key. Every method raises Refusal and Unreachable."""

    def __init__(
        self, base_url: str, key: str, *, timeout: float = 30.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._connection = Connection(f"{base_url}/api/v1", {"X-Admin-Key": key}, timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self._connection.http.aclose()
