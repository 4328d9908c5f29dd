"""The operators' API, on the admin listener."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType
from typing import Self

import httpx

from .answers import DeclaredPlan, Imported
from .connection import Connection, Unreachable
from .refusal import refusal_of

_TIMEOUT = 30.0


class Operator:
    """`key` is an admin key. Every method raises Refusal and Unreachable. `timeout` is in seconds."""

    def __init__(
        self, base_url: str, key: str, *, timeout: float = _TIMEOUT, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._connection = Connection(f"{base_url}/api/v1", {"X-Admin-Key": key}, timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.http.aclose()

    async def plans(self) -> list[DeclaredPlan]:
        """Those that gateway.yaml declares."""
        plans: list[DeclaredPlan] = (await self._connection.send("GET", "/fetch/plans"))["data"]["plans"]
        return plans

    async def export(self, export_key: str | None = None, after: str | None = None) -> AsyncIterator[bytes]:
        """The whole state, a line at a time. Raises Unreachable where it breaks off: go on with `after`, the id of the last
        tenant."""
        query, ended = {} if after is None else {"after": after}, False
        try:
            async with self._connection.http.stream("GET", "/export", params=query, headers=_keyed(export_key)) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal_of(response)
                async for line in _lines(response.aiter_bytes()):
                    yield line
                    ended = line.startswith(b'{"kind":"end"')
        except httpx.TransportError as error:
            raise Unreachable(f"the export broke off: {error or type(error).__name__}") from error
        if not ended:
            raise Unreachable("the export broke off: its end is missing")

    async def restore(self, lines: AsyncIterable[bytes], export_key: str | None = None) -> Imported:
        """Put an export back. May be done again where it broke off."""
        headers = {**_keyed(export_key), "Content-Type": "application/jsonl"}
        try:
            # It answers when the last line is restored, however long that takes.
            response = await self._connection.http.post("/import", content=lines, headers=headers, timeout=None)
        except httpx.TransportError as error:
            raise Unreachable(f"the import broke off: {error or type(error).__name__}") from error
        if not response.is_success:
            raise refusal_of(response)
        imported: Imported = response.json()["data"]
        return imported


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut at line feeds alone: JSON may hold other ends of a line as they are (RFC 8259, 7)."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


def _keyed(export_key: str | None) -> dict[str, str]:
    return {} if export_key is None else {"X-Export-Key": export_key}
