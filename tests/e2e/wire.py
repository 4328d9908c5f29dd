"""HTTP as bytes, so that no client tidies what is sent, and none hides what came back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .conftest import World
from .stack import Customer, GatewayProcess


@dataclass(frozen=True)
class Reply:
    """One response; the interim ones before it are left out. `fields` by name in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.fields["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert problem["request_id"] == self.fields["x-request-id"]
        assert problem["status"] == self.status
        return dict(problem)


def connect(world: World) -> socket.socket:
    return open_to(world.gateway)


def open_to(gateway: GatewayProcess) -> socket.socket:
    address = urlsplit(gateway.public_url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(line: str, customer: Customer | None = None, *fields: bytes, host: bytes | None = b"Host: gateway.test") -> bytes:
    """A request's head, signed for `customer`; `fields` as they are."""
    proof = [] if customer is None else [f"{name}: {value}".encode() for name, value in customer.bearer().items()]
    lines = [line.encode("latin-1"), *([] if host is None else [host]), *proof, *fields]
    return b"".join(part + b"\r\n" for part in lines) + b"\r\n"


def exchange(world: World, *pieces: bytes) -> list[Reply]:
    """Send, and read until the gateway closes; a connection that it leaves open fails the test."""
    with connect(world) as connection:
        return read_all(connection, *pieces)


def read_all(connection: socket.socket, *pieces: bytes, pause: float = 0) -> list[Reply]:
    """An answer may come, and the connection end, before all is sent. `pause`: seconds between two pieces."""
    received = b""
    with suppress(ConnectionError):
        for piece in pieces:
            connection.sendall(piece)
            if pause:
                time.sleep(pause)
    with suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            received += piece
    return parse(received)


def parse(data: bytes) -> list[Reply]:
    replies = []
    while data:
        block, separator, data = data.partition(b"\r\n\r\n")
        assert separator, block
        first, *lines = block.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), first
        status = int(first.split(" ")[1])
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(fields.get("content-length", "0"))
        body, data = data[:length], data[length:]
        if status >= 200:
            replies.append(Reply(status, fields, body))
    return replies


def eventually(true: Callable[[], object], within: float = 1.0) -> bool:
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def resident(world: World) -> int:
    """Bytes of the gateway's memory."""
    pages = Path(f"/proc/{world.gateway.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096
