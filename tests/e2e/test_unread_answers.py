"""Answers that are framed for their client alone, or that nobody reads."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from uuid import uuid4

import pytest

from .conftest import World
from .wire import connect, head, resident

PROOF = (
    b"Upgrade: websocket",
    b"Connection: upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    ("target", "more"),
    [("/api/" + "a" * 9000, ()), ("/api/x", tuple(b"x-%d: y" % n for n in range(150))), ("/api/x", (b"bad name: x",))],
    ids=["long target", "many headers", "no token"],
)
def test_a_handshake_that_the_library_does_not_take_is_refused(world: World, target: str, more: tuple[bytes, ...]) -> None:
    len(world.gateway.log)
    with connect(world) as connection:
        connection.settimeout(13)
        connection.sendall(head(f"GET {target} HTTP/1.1", None, *PROOF, *more))
        got = b""
        try:
            while piece := connection.recv(1 << 16):
                got += piece
        except TimeoutError:
            pass
        assert got.startswith(b"HTTP/1.1 4")


def test_the_length_of_an_answer_is_told_whatever_its_connection_header_lists(world: World) -> None:
    customer, at, other = world.customer(), f"/api/{uuid4().hex}", f"/api/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: (
        b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello"
    )
    world.upstream.responses[other] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
    with connect(world) as connection:
        connection.settimeout(2)
        connection.sendall(head(f"GET {at} HTTP/1.1", customer) + head(f"GET {other} HTTP/1.1", customer))
        got = b""
        try:
            while piece := connection.recv(1 << 16):
                got += piece
        except TimeoutError:
            pass
        first = got.partition(b"\r\n\r\n")[0].lower()
        assert b"content-length" in first or b"chunked" in first or b"connection: close" in first


def test_memory_is_bounded_where_nobody_reads(world: World) -> None:
    customer, small, big = None, f"/open/{uuid4().hex}", f"/open/{uuid4().hex}"
    body = b"s" * 200_000
    world.upstream.responses[small] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body
    world.upstream.responses[big] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n" + body * 1000
    with ExitStack() as stack:
        before = resident(world)
        connection = stack.enter_context(socket.socket())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = connect(world)
        connection.connect(address.getpeername())
        address.close()
        connection.sendall(head(f"GET {small} HTTP/1.1", customer) * 22 + head(f"GET {big} HTTP/1.1", customer))
        time.sleep(4)
        after = resident(world)
        assert after - before < 32 << 20
