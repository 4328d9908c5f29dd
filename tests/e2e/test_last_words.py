"""A client that is refused while it sends is told so, whatever it goes on sending; but not for ever."""

from __future__ import annotations

import socket
import time
from uuid import uuid4

import pytest

from .conftest import World
from .stack import Customer
from .wire import connect, head, parse

TEN_MEGABYTES = 10 << 20
PIECE = b"x" * 65536


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return world.customer()


def refused_heads(customer: Customer) -> dict[str, bytes]:
    sized = b"Content-Length: %d" % TEN_MEGABYTES
    return {
        "401": head("POST /api/x HTTP/1.1", None, sized),
        "404": head("POST /nowhere HTTP/1.1", None, sized),
        "413": head("POST /bounded/x HTTP/1.1", customer, sized),
        "400": head("POST /api/x HTTP/1.1", customer, sized, sized),
        "431": head("POST /api/x HTTP/1.1", customer, sized, b"X-A: " + b"a" * 40_000),
    }


def all_received(connection: socket.socket) -> bytes:
    """Up to a clean end: a reset raises."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize("status", ["401", "404", "413", "400", "431"])
def test_a_client_that_reads_only_after_it_has_sent_all_is_told(world: World, customer: Customer, status: str) -> None:
    """Were the connection dropped with bytes of its on their way, the reset could overtake the answer (RFC 9112, 9.6)."""
    with connect(world) as connection:
        connection.sendall(refused_heads(customer)[status])
        for _ in range(TEN_MEGABYTES // len(PIECE)):
            connection.sendall(PIECE)
        (reply,) = parse(all_received(connection))
    assert (str(reply.status), reply.fields["connection"]) == (status, "close")


def test_a_broken_chunk_is_told_to_a_client_that_goes_on(world: World, customer: Customer) -> None:
    with connect(world) as connection:
        connection.sendall(head(f"POST /api/{uuid4().hex} HTTP/1.1", customer, b"Transfer-Encoding: chunked") + b"zz\r\n")
        for _ in range(TEN_MEGABYTES // len(PIECE)):
            connection.sendall(PIECE)
        (reply,) = parse(all_received(connection))
    assert (reply.status, reply.problem["code"]) == (400, "BAD_REQUEST")


def test_the_end_of_the_answer_is_seen_while_the_client_still_sends(world: World, customer: Customer) -> None:
    """Who reads while it sends needn't wait for anything."""
    with connect(world) as connection:
        connection.sendall(refused_heads(customer)["401"] + PIECE)
        (reply,) = parse(all_received(connection))
        connection.sendall(PIECE)
    assert reply.status == 401


def test_nobody_is_listened_to_for_ever(world: World) -> None:
    with connect(world) as connection:
        connection.sendall(head("POST /api/x HTTP/1.1", None, b"Content-Length: 1000000000000"))
        assert is_dropped(connection, within=40)


def is_dropped(connection: socket.socket, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            connection.sendall(PIECE)
        except ConnectionError:
            return True
        time.sleep(0.05)
    return False
