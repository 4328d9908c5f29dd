"""Time that passes only when nothing else is left to do, for an event loop and for a real store: what takes minutes there takes
milliseconds here, and happens again in the same order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha1
from math import ceil
from pathlib import Path
from selectors import DefaultSelector, SelectorKey

from redis.connection import UnixDomainSocketConnection
from redis.exceptions import NoScriptError, ResponseError

from gateway.store.script import Script
from gateway.store.wire import Part, Reply, ReplyError

# What the scripts find in the place of the store's own time: TIME, and the ends of keys.
_SHIM = """
local store, redis = redis, setmetatable({}, {__index = redis})
local virtual = tonumber(store.call('GET', 'virtual:now'))
for _, key in ipairs(store.call('ZRANGEBYSCORE', 'virtual:ends', '-inf', math.floor(virtual / 1000))) do
  store.call('DEL', key)
  store.call('ZREM', 'virtual:ends', key)
end
local function ends(key, milliseconds)
  return store.call('ZADD', 'virtual:ends', milliseconds, key)
end
function redis.call(name, key, ...)
  if name == 'TIME' then
    return {math.floor(virtual / 1000000), virtual % 1000000}
  elseif name == 'PEXPIRE' then
    return ends(key, math.floor(virtual / 1000) + select(1, ...))
  elseif name == 'EXPIREAT' then
    return ends(key, select(1, ...) * 1000)
  elseif name == 'SET' then
    local value, unit, length = ...
    if unit then
      ends(key, math.floor(virtual / 1000) + length * (unit == 'EX' and 1000 or 1))
    end
    return store.call('SET', key, value)
  elseif key == nil then
    return store.call(name)
  end
  return store.call(name, key, ...)
end
"""
# Of each bucket what is lent, of each counter what is counted, and which nonces are known.
_STANDING = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if string.match(key, ':lent$') then
    found[#found + 1] = key .. '|' .. (redis.call('HGET', key, '*') or '0')
  elseif string.match(key, ':usage:') or string.match(key, ':nonce:') then
    local fields = kind == 'hash' and redis.call('HGETALL', key) or {'exists', '1'}
    for place = 1, #fields, 2 do
      found[#found + 1] = key .. ' ' .. fields[place] .. '|' .. fields[place + 1]
    end
  end
end
return found
"""
_DATABASE = 9


@cache
def in_virtual_time(script: Script) -> Script:
    text = _SHIM + script.text
    return Script(script.name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class VirtualClock:
    """Begins in the present month."""

    def __init__(self) -> None:
        self.start = self.micros = int(time.time()) * 1_000_000

    def now(self) -> float:
        return self.micros / 1_000_000

    def monotonic(self) -> float:
        return (self.micros - self.start) / 1_000_000

    def advance(self, seconds: float) -> None:
        self.micros += max(1, ceil(seconds * 1_000_000))


class _Jump(DefaultSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0:
            assert timeout is not None, "everybody waits, for nothing"
            self._clock.advance(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Jump(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.monotonic()


class VirtualStore:
    """A database of a real server, empty at first, which answers while virtual time stands."""

    def __init__(self, socket: Path, clock: VirtualClock, channel: str) -> None:
        self._clock = clock
        self._standing: Mapping[str, int] | None = None
        self._connection, self._messages = (
            UnixDomainSocketConnection(path=str(socket), db=_DATABASE, protocol=2) for _ in range(2)
        )
        self.execute("FLUSHDB")
        self._messages.send_command("SUBSCRIBE", channel)
        self._messages.read_response()

    def execute(self, *parts: Part) -> Reply:
        self._standing = None
        return self._execute(parts)

    def standing(self) -> Mapping[str, int]:
        """What is lent, by bucket; what is counted, by counter; 1 for each nonce that is known."""
        if self._standing is None:
            reply = self._execute(("EVAL", _STANDING, 0))
            assert isinstance(reply, list)
            pairs = [entry.decode().rpartition("|") for entry in reply if isinstance(entry, bytes)]
            self._standing = {name: int(number) for name, _, number in pairs}
        return self._standing

    def _execute(self, parts: Sequence[Part]) -> Reply:
        connection = self._connection
        connection.send_packed_command(connection.pack_commands([("SET", "virtual:now", self._clock.micros), parts]))
        connection.read_response()
        try:
            reply: Reply = connection.read_response()
        except NoScriptError as error:
            raise ReplyError("NOSCRIPT") from error
        except ResponseError as error:
            if str(error).startswith("OUTDATED"):
                raise ReplyError(str(error)) from error
            raise AssertionError(f"the store refuses {parts[0]!r}: {error}") from error
        return reply

    def published(self) -> Iterator[bytes]:
        """All messages since the last time."""
        self._messages.send_command("PING")
        while True:
            reply = self._messages.read_response()
            if reply[0] != b"message":
                return
            yield reply[2]

    def number(self, *parts: Part) -> int:
        reply = self.execute(*parts)
        return int(reply) if isinstance(reply, bytes | int) else 0

    def texts(self, *parts: Part) -> Sequence[str]:
        reply = self.execute(*parts)
        assert isinstance(reply, list)
        return [entry.decode() for entry in reply if isinstance(entry, bytes)]

    def close(self) -> None:
        self._connection.disconnect()
        self._messages.disconnect()
