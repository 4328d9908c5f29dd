"""Clients that ask over and over, each on a connection of its own, and write down what they got."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Self
from urllib.parse import urlsplit

_PATIENCE = 30.0
_RECONNECT = 0.01  # seconds between attempts where nobody accepts


@dataclass(frozen=True)
class Answer:
    """`status` 0: none came. `whole`: to the last byte. `began` before the first byte was sent, `ended` after the last came."""

    status: int
    whole: bool
    body: bytes
    began: float
    ended: float

    @property
    def delivered(self) -> bool:
        return self.whole and 200 <= self.status < 300

    @property
    def took(self) -> float:
        return self.ended - self.began

    @property
    def kind(self) -> str:
        """How it is told in a table: its status, the code of a failure, or that it broke off."""
        if self.status == 0:
            return "none"
        if not self.whole:
            return "broken off"
        return str(self.status) if self.status < 400 else f"{self.status} {json.loads(self.body)['code']}"


class Client:
    """Keeps its connection as long as the gateway does."""

    def __init__(self, url: str, path: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._request = f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{fields}\r\n".encode()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> Answer:
        """Raises TimeoutError where the answer does not end within 30 s: a request was forgotten."""
        began, status, body, whole = time.monotonic(), 0, b"", False
        async with asyncio.timeout(_PATIENCE):
            try:
                if self._connection is None:
                    self._connection = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._connection
                writer.write(self._request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                status = int(head[9:12])
                body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                whole = True
                if b"connection: close" in head:
                    self.close()
            except (OSError, asyncio.IncompleteReadError):
                self.close()
        return Answer(status, whole, body, began, time.monotonic())

    def close(self) -> None:
        if self._connection is not None:
            self._connection[1].transport.abort()
            self._connection = None


@dataclass
class Load:
    """As an asynchronous context: all `clients` ask until it is left, or each its number of `times`.

    `pause` seconds lie between an answer and the next request of a client.
    """

    url: str
    path: str
    headers: Mapping[str, str]
    clients: int
    pause: float = 0.0
    times: int | None = None
    answers: list[Answer] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._over = False
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, *fault: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def ended(self) -> None:
        """When each client has asked as often as it shall."""
        await asyncio.gather(*self._tasks)

    async def reaches(self, delivered: int) -> None:
        """When as many answers more were delivered. Raises TimeoutError."""
        until = self.delivered + delivered
        async with asyncio.timeout(_PATIENCE):
            while self.delivered < until:
                self._raise_failures()
                await asyncio.sleep(0.005)

    @property
    def delivered(self) -> int:
        return sum(answer.delivered for answer in self.answers)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(answer.kind for answer in self.answers)

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _ask(self) -> None:
        client = Client(self.url, self.path, self.headers)
        try:
            for _ in count() if self.times is None else range(self.times):
                if self._over:
                    return
                answer = await client.ask()
                self.answers.append(answer)
                await asyncio.sleep(self.pause if answer.status else max(self.pause, _RECONNECT))
        finally:
            client.close()
