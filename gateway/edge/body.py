"""The body of a request on its way in: bounded, timed, streamed, or kept whole where it has to be known first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from tempfile import SpooledTemporaryFile

from starlette.types import Receive

from gateway.errors import BODY_TOO_LARGE, REQUEST_TIMEOUT, Refused
from gateway.pipeline.question import SMALL_BODY, WholeBody

# A body that must be known whole stays in memory up to here; beyond, it waits on disk.
_IN_MEMORY = 1 << 20
# It has to come within this many seconds: a signature's nonce is remembered for its window and as long again as this.
_WHOLE_WITHIN = 60.0
_PIECE = 64 << 10


class ClientGone(Exception):
    """The client went away before its request was read or its answer was written."""


class Body:
    """`length` is what the head declared: bytes, or None where the body comes in chunks. `idle` is in seconds."""

    def __init__(self, receive: Receive, length: int | None, idle: float) -> None:
        self._receive = receive
        self.length = length
        self._idle = idle
        self._limit: int | None = None
        self._kept: SpooledTemporaryFile[bytes] | None = None
        self.received = 0
        self.complete = length == 0
        self._finished = asyncio.Event()
        if self.complete:
            self._finished.set()

    def limit(self, size: int) -> None:
        """Refuse more than `size` bytes from now on. Raises Refused(BODY_TOO_LARGE) where more was declared."""
        self._limit = size
        if self.length is not None and self.length > size:
            raise Refused(BODY_TOO_LARGE, f"At most {size} bytes are accepted here.")

    async def whole(self, limit: int) -> WholeBody:
        """Read the whole body and keep it for `chunks`. Raises Refused, ClientGone."""
        self.limit(limit)
        digest = sha256()
        kept: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._kept = kept
        try:
            async with asyncio.timeout(_WHOLE_WITHIN):
                async for piece in self._incoming():
                    digest.update(piece)
                    kept.write(piece)
        except TimeoutError:
            raise _too_slow() from None
        self.length = self.received
        kept.seek(0)
        content = None
        if self.received <= SMALL_BODY:
            content = kept.read()
            kept.seek(0)
        return WholeBody(digest.hexdigest(), content)

    async def content(self, limit: int) -> bytes:
        """The whole body, for an answer of our own. Raises Refused, ClientGone."""
        self.limit(limit)
        try:
            async with asyncio.timeout(_WHOLE_WITHIN):
                return b"".join([piece async for piece in self.chunks()])
        except TimeoutError:
            raise _too_slow() from None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it arrives or from where it was kept. Raises Refused, ClientGone."""
        if self._kept is None:
            async for piece in self._incoming():
                yield piece
            return
        while piece := self._kept.read(_PIECE):
            yield piece

    async def gone(self) -> None:
        """Returns when the client has gone away. Only after the body has been read: until then reading it tells."""
        await self._finished.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    async def _incoming(self) -> AsyncIterator[bytes]:
        while not self.complete:
            try:
                async with asyncio.timeout(self._idle):
                    message = await self._receive()
            except TimeoutError:
                raise Refused(REQUEST_TIMEOUT, f"The body stood still for {self._idle:g} s.") from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece: bytes = message.get("body", b"")
            self.received += len(piece)
            if self._limit is not None and self.received > self._limit:
                raise Refused(BODY_TOO_LARGE, f"At most {self._limit} bytes are accepted here.")
            self.complete = not message.get("more_body", False)
            if self.complete:
                self._finished.set()
            if piece:
                yield piece


def _too_slow() -> Refused:
    return Refused(REQUEST_TIMEOUT, f"A body that is read whole has to come within {_WHOLE_WITHIN:g} s.")


@asynccontextmanager
async def cancelled_when_gone(body: Body) -> AsyncIterator[None]:
    """Cancels what runs inside when the client goes away, and raises ClientGone in its place."""
    task = asyncio.current_task()
    assert task is not None
    has_gone = False

    async def watch() -> None:
        nonlocal has_gone
        await body.gone()
        has_gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_gone and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
