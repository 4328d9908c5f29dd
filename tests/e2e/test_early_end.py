"""Answers without a body."""

from __future__ import annotations

from uuid import uuid4

from .conftest import World
from .wire import connect, head


def test_a_204_tells_no_length(world: World) -> None:
    """RFC 9110, 8.6: a client or a proxy before us that believes it takes the next answer for a body."""
    at = f"/open/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
    with connect(world) as connection:
        connection.sendall(head(f"GET {at} HTTP/1.1"))
        got = connection.recv(1 << 16)
        assert b"content-length" not in got
