"""What a client has whole is counted: the end of an answer waits for the store."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.store.server import OwnServer

from .conftest import CONFIG
from .recorder import Recorder, Seen, json_answer
from .stack import ADMIN_KEY, Customer, GatewayProcess, environment, provision

_BODY = {"answer": "x" * 100}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    with OwnServer(tmp_path_factory.mktemp("store"), aof=False) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(server: OwnServer, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    variables = {
        **environment(),
        "TESTS_STORE_URL": server.url,
        "TESTS_PREFIX": "settlement",
        "TESTS_UPSTREAM": upstream.url,
        "TESTS_ADMIN_KEY": ADMIN_KEY,
    }
    gateway = GatewayProcess(CONFIG, tmp_path_factory.mktemp("gateway"), variables)
    yield gateway
    gateway.stop()


_CLOSE = {"Connection": "close"}
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def get(gateway: GatewayProcess, at: str, customer: Customer, more: Mapping[str, str] = _CLOSE) -> bytes:
    """All bytes that come until the gateway closes the connection."""
    address = urlsplit(gateway.public_url)
    fields = "".join(f"{name}: {value}\r\n" for name, value in {**customer.bearer(), **more}.items())
    received = b""
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=15) as connection:
        connection.sendall(f"GET {at} HTTP/1.1\r\nHost: gateway\r\n{fields}\r\n".encode())
        with suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                received += piece
    return received


def used(gateway: GatewayProcess, customer: Customer) -> int:
    answer = gateway.public.get("/api/v1/billing/plan", headers=customer.bearer())
    return int(answer.json()["limits"]["quotas"]["messages"]["used"])


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_answer_whose_units_cannot_be_counted_does_not_look_complete(
    gateway: GatewayProcess, server: OwnServer, upstream: Recorder, chunked: bool
) -> None:
    customer, at = provision(gateway, f"t-{uuid4().hex[:12]}", "small"), f"/metered/{uuid4().hex}"
    complete = json_answer(_BODY)
    if chunked:
        head, _, body = complete.partition(b"\r\n\r\n")
        head = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
        complete = head + b"\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    def respond(seen: Seen) -> bytes:
        # The request is admitted; from now on the store is silent.
        server.pause()
        return complete

    upstream.responses[at] = respond
    try:
        received = get(gateway, at, customer)
    finally:
        server.go_on()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    if chunked:
        assert b"x" * 100 in body
        assert not body.endswith(b"0\r\n\r\n")
    else:
        assert body == b""
    upstream.responses[at] = lambda seen: json_answer(_BODY)
    # Nothing of it stays counted: the cap of three still admits three.
    answers = [get(gateway, at, customer)[9:12] for _ in range(4)]
    assert answers == [b"200", b"200", b"200", b"429"]
    assert used(gateway, customer) == 3


def test_a_refused_upgrade_whose_units_cannot_be_counted_is_not_given_to_the_client(
    gateway: GatewayProcess, server: OwnServer, upstream: Recorder
) -> None:
    customer, at = provision(gateway, f"t-{uuid4().hex[:12]}", "small"), f"/metered/{uuid4().hex}"

    def respond(seen: Seen) -> bytes:
        server.pause()
        return json_answer(_BODY, "403 Forbidden")

    upstream.responses[at] = respond
    try:
        received = get(gateway, at, customer, _UPGRADE)
    finally:
        server.go_on()
    assert received.startswith(b"HTTP/1.1 503"), received
    assert len(upstream.at(at)) == 1
