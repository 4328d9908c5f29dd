"""An upstream that writes down every byte it gets, on real sockets in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. `fields` in order, names as sent."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


Respond = Callable[[Seen], bytes]


def json_answer(value: object, status: str = "200 OK", fields: str = "") -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode() + body


class Recorder:
    """Answers with what it saw of the tenant, or with the bytes of the response that a test sets for a target."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.responses: dict[str, Respond] = {}
        self.closing: set[str] = set()
        """Paths after whose response the connection is closed."""
        self.cut: list[str] = []
        """Targets whose request or response was under way when their connection ended."""
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def at(self, marker: str) -> list[Seen]:
        """The requests whose target holds `marker`."""
        return [seen for seen in self.seen if marker in seen.target]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head: Seen | None = None
        try:
            while True:
                head = None
                head = await _read_head(reader)
                seen = replace(head, body=await _read_body(reader, head))
                self.seen.append(seen)
                path = seen.target.partition("?")[0]
                writer.write(self.responses.get(path, _tenant_seen)(seen))
                await writer.drain()
                if path in self.closing:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            if head is not None:
                self.cut.append(head.target)
        finally:
            writer.close()


async def _read_head(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    fields = tuple((line.partition(":")[0], line.partition(":")[2].strip(" \t")) for line in head[1:-2])
    return Seen(method, target, fields, b"")


async def _read_body(reader: asyncio.StreamReader, head: Seen) -> bytes:
    """Raises ValueError where a chunk has no size, as where the connection ends."""
    names = {name.lower(): value for name, value in head.fields}
    body = b""
    if names.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif length := int(names.get("content-length", "0")):
        body = await reader.readexactly(length)
    return body


def _tenant_seen(seen: Seen) -> bytes:
    if seen.method == "HEAD":
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    return json_answer({"tenant": seen.header("X-Tenant"), "schema": seen.header("X-Tenant-Schema"), "target": seen.target})
