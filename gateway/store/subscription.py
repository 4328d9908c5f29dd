"""Messages of a channel of the store, on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)

_BACKOFF_MIN, _BACKOFF_MAX = 0.05, 2.0
# Seconds without a message after which the connection has to show that it still stands.
_SILENCE = 5.0


class Subscription:
    """Messages that come while the connection is down are lost: nothing may depend on them but how fast a thing happens."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel

    async def listen(self, receive: Callable[[bytes], None]) -> None:
        """Hand every message to `receive`, for ever; connect anew, ever less eagerly, whenever the connection is lost."""
        backoff = _BACKOFF_MIN
        while True:
            try:
                async for message in self._messages():
                    backoff = _BACKOFF_MIN
                    if message is not None:
                        receive(message)
            except (RedisError, OSError) as error:
                if backoff == _BACKOFF_MIN:
                    _log.warning("not told of changes for now, each takes up to a second longer: %s", error)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_MAX)

    async def _messages(self) -> AsyncIterator[bytes | None]:
        """Those of one connection; None for each other sign of life. Ends, or raises, when the connection is lost."""
        client = Redis.from_url(self._url, socket_timeout=None, socket_connect_timeout=_SILENCE, retry=Retry(NoBackoff(), 0))
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(self._channel)
                while (message := await _next(pubsub)) is not None:
                    data = message.get("data")
                    yield data if message["type"] == "message" and isinstance(data, bytes) else None
        finally:
            await client.aclose()


async def _next(pubsub: PubSub) -> dict[str, object] | None:
    """The next message of any kind; None where not even a ping is answered."""
    message: dict[str, object] | None = await pubsub.get_message(timeout=_SILENCE)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=_SILENCE)
    return message
