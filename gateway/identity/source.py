"""Where a key set is read from, again and again: a file or a URL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import httpx

MAX_BYTES = 512 << 10
_DEADLINE = 10.0
_TIMEOUTS = httpx.Timeout(5.0, connect=3.0)
_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    # Compressed, a small answer could grow beyond any bound in one step.
    "Accept-Encoding": "identity",
    "User-Agent": "tenantgate",
}


class SourceFault(Exception):
    """The set could not be read now. The message says why, for the log."""


class Source(Protocol):
    async def read(self) -> bytes:
        """The set as it is now, of at most MAX_BYTES. Raises SourceFault."""


class FileSource:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        return await asyncio.to_thread(self.read_now)

    def read_now(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SourceFault(f"{self._path}: {error.strerror or type(error).__name__}") from error
        _check_size(raw)
        return raw


class UrlSource:
    """Fetches afresh each time: no proxy from the environment, no cookies, no redirects, and an end to every wait."""

    def __init__(self, url: str) -> None:
        """Raises SourceFault where `url` is none."""
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise SourceFault(f"`jwks_url` is not a URL: {error}") from error
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def read(self) -> bytes:
        try:
            async with (
                asyncio.timeout(_DEADLINE),
                httpx.AsyncClient(trust_env=False, verify=self._tls, timeout=_TIMEOUTS, headers=_HEADERS) as client,
                client.stream("GET", self._url) as response,
            ):
                return await _content(response)
        except TimeoutError as error:
            raise SourceFault(f"no whole answer within {_DEADLINE:g} s") from error
        except httpx.HTTPError as error:
            raise SourceFault(f"{type(error).__name__}: {error}") from error


async def _content(response: httpx.Response) -> bytes:
    if response.is_redirect:
        raise SourceFault(f"answered {response.status_code}: redirects are not followed, `jwks_url` must be the final address")
    if response.status_code != httpx.codes.OK:
        raise SourceFault(f"answered {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SourceFault("answered in a content encoding that was not asked for")
    raw = bytearray()
    async for piece in response.aiter_raw():
        raw += piece
        _check_size(raw)
    return bytes(raw)


def _check_size(raw: bytes | bytearray) -> None:
    if len(raw) > MAX_BYTES:
        raise SourceFault(f"it is larger than {MAX_BYTES >> 10} KiB")
