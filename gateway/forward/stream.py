"""The asynchronous face of an exchange, for carriers that await."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

from gateway.errors import Refused

from .exchange import Exchange, Timings, UpstreamAborted
from .response_head import ResponseHead

# A reader that falls this far behind stops the upstream, until it has caught up.
_HIGH = 256 << 10


class UpstreamResponse:
    """`answer` is known when `Upstreams.send` returns it. To be closed by `aclose`, whatever happens."""

    def __init__(self) -> None:
        self._answer: ResponseHead | None = None
        self._exchange: Exchange | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._complete = False
        self._error: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None
        self._may_upload = asyncio.Event()
        self._upload: asyncio.Task[None] | None = None

    @property
    def answer(self) -> ResponseHead:
        assert self._answer is not None
        return self._answer

    @property
    def timings(self) -> Timings:
        assert self._exchange is not None
        return self._exchange.timings

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, as soon as its pieces arrive. Raises UpstreamAborted where it breaks off, and what the request's body
        raised."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces.clear()
                self._size = 0
                if self._exchange is not None:
                    self._exchange.resume_reading()
                yield piece
            if self._error is not None:
                raise self._error
            if self._complete:
                return
            await self._change()

    async def aclose(self) -> None:
        """End the exchange. Its connection is dropped where the response was not complete."""
        if self._exchange is not None and not self._complete:
            self._exchange.abort()
        if self._upload is not None:
            self._upload.cancel()
            await asyncio.wait([self._upload])

    # For Upstreams

    async def opened(self, exchange: Exchange, body: AsyncIterable[bytes] | None) -> UpstreamResponse:
        """Send the request, and return when the response's head is there. Raises Refused, and what `body` raises."""
        self._exchange = exchange
        try:
            exchange.start()
            if body is not None:
                self._upload = asyncio.create_task(self._send_body(exchange, body))
            while self._answer is None:
                if self._error is not None:
                    raise self._error
                await self._change()
        except BaseException:
            await self.aclose()
            raise
        return self

    # Sink

    def head(self, answer: ResponseHead) -> None:
        self._answer = answer
        self._notify()

    def data(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _HIGH and self._exchange is not None:
            self._exchange.pause_reading()
        self._notify()

    def complete(self) -> None:
        self._complete = True
        if self._upload is not None:
            self._upload.cancel()
        self._notify()

    def failed(self, error: Refused | UpstreamAborted) -> None:
        self._fail(error)

    def pause_upload(self) -> None:
        self._may_upload.clear()

    def resume_upload(self) -> None:
        self._may_upload.set()

    # Inside

    async def _send_body(self, exchange: Exchange, body: AsyncIterable[bytes]) -> None:
        try:
            await self._may_upload.wait()
            async for piece in body:
                if piece:
                    exchange.write(piece)
                await self._may_upload.wait()
            exchange.finish()
        except Exception as error:
            # Whoever awaits the response must hear of it; nobody awaits this task.
            exchange.abort()
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._complete and self._error is None:
            self._error = error
            if self._upload is not None and self._upload is not asyncio.current_task():
                self._upload.cancel()
            self._notify()

    async def _change(self) -> None:
        self._changed = asyncio.get_running_loop().create_future()
        try:
            await self._changed
        finally:
            self._changed = None

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
