"""The same request, again and again: each time the upstream is asked the same and the client told the same, and that is what is
asked and told where nothing can be remembered of it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from hypothesis import given

from .conftest import World
from .heads import Repeated, repeated
from .made import pieces_of
from .recorder import Seen
from .stack import Customer
from .test_differential import examples
from .wire import open_to

AGAIN, ANEW = 5, 2
# What is another each time in an answer: its request's id, the second, and what is left of limits.
_OF_THE_TIME = re.compile(
    rb'x-request-id: [\w-]+|\r\ndate: .{20,30} GMT|"request_id": "\w+"|(?<=;r=)\d+;t=\d+|(x-ratelimit-(remaining|reset)): \d+'
)


@dataclass(frozen=True)
class Callers:
    """Lines of the heads by which each kind of caller proves itself."""

    world: World
    proofs: Mapping[str, Sequence[str]]


@pytest.fixture(scope="module", params=["free", "plenty"])
def callers(world: World, request: pytest.FixtureRequest) -> Callers:
    customer = world.customer(request.param)
    return Callers(
        world,
        {
            "public": [],
            "nobody": [],
            "token": [f"{name}: {value}" for name, value in customer.bearer(exp=int(time.time()) + 3000).items()],
            "key": [f"X-Api-Key: {world.mint(customer.id)}"],
            "platform key": [f"Authorization: Bearer {world.mint('main')}", f"X-Tenant: {customer.slug}"],
            "widget key": [f"X-Widget-Key: {customer.widget_key}", f"Origin: {customer.origin}"],
        },
    )


class Line:
    """A client's connection, opened anew where the gateway has ended it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._socket: socket.socket | None = None
        self._received = b""

    def ask(self, method: str, pieces: Sequence[bytes]) -> bytes:
        """The bytes of the answer."""
        if self._socket is None:
            self._socket, self._received = open_to(self._world.gateway), b""
        for piece in pieces:
            self._socket.sendall(piece)
        head = self._until(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head = self._until(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        bodiless = method == "HEAD" or head.startswith(b"HTTP/1.1 204")
        answer = head + (b"" if bodiless or length is None else self._exactly(int(length[1])))
        if b"\r\nconnection: close\r\n" in head:
            assert not self._received
            self.close()
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _until(self, end: bytes) -> bytes:
        while (at := self._received.find(end)) < 0:
            self._more()
        return self._take(at + len(end))

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._more()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(1 << 16)
        assert piece, self._received
        self._received += piece


def plainly(seen: Seen) -> tuple[str, str, bytes, list[tuple[str, Any]]]:
    """What was asked, but for what is another each time."""
    return seen.method, seen.target, seen.body, list(_fields(seen))


def _fields(seen: Seen) -> Iterator[tuple[str, Any]]:
    for name, value in seen.fields:
        if name == "X-Gateway-Identity":
            claims = jwt.decode(value, options={"verify_signature": False})
            assert claims["exp"] > time.time()
            yield name, {claim: said for claim, said in claims.items() if claim not in ("iat", "exp", "jti")}
        elif name == "X-Request-Id":
            yield name, None
        elif name != "x-anew":
            yield name, value


@given(request=repeated)
@examples(250)
def test_it_is_asked_and_told_as_if_it_came_for_the_first_time(callers: Callers, request: Repeated) -> None:
    marker, proof = uuid4().hex, callers.proofs[request.caller]
    again = request.text(proof, marker)
    anew = [request.text(proof, marker, f"X-Anew: {uuid4().hex}") for _ in range(ANEW)]
    with closing(Line(callers.world)) as line:
        told = [line.ask(request.method, pieces_of(text, request.places)) for text in [again] * AGAIN + anew]
    told = [_OF_THE_TIME.sub(b"", answer) for answer in told]
    assert told == [told[0]] * (AGAIN + ANEW)
    asked = [plainly(seen) for seen in callers.world.upstream.at(marker)]
    assert asked == asked[:1] * (AGAIN + ANEW)


def test_each_has_an_id_of_its_own(callers: Callers) -> None:
    marker = uuid4().hex
    text = f"GET /api/x?m={marker} HTTP/1.1\r\nHost: gateway.test\r\n{callers.proofs['key'][0]}\r\n\r\n".encode()
    with closing(Line(callers.world)) as line:
        told = [re.search(rb"x-request-id: (\w+)", line.ask("GET", [text])) for _ in range(8)]
    ids = [found[1].decode() for found in told if found]
    assert ids == [seen.header("X-Request-Id") for seen in callers.world.upstream.at(marker)]
    assert len(set(ids)) == 8


def test_no_one_gets_what_another_was_let_in_for(world: World) -> None:
    """Heads that differ in the credential alone, side by side."""
    customers = [world.customer() for _ in range(3)]
    keys = [world.mint(customer.id) for customer in customers]
    marker = uuid4().hex

    def text(key: str) -> bytes:
        return f"GET /api/x?m={marker} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {key}\r\n\r\n".encode()

    with closing(Line(world)) as line:
        for _ in range(6):
            for customer, key in zip(customers, keys, strict=True):
                assert f'"tenant": "{customer.slug}"'.encode() in line.ask("GET", [text(key)])
            wrong = keys[0][:-1] + ("a" if keys[0][-1] != "a" else "b")
            assert line.ask("GET", [text(wrong)]).startswith(b"HTTP/1.1 401 ")
    assert [seen.header("X-Tenant") for seen in world.upstream.at(marker)] == [one.slug for one in customers] * 6


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_suspension_is_in_force_when_it_has_answered(world: World, method: str) -> None:
    customer: Customer = world.customer()
    fields = "".join(f"{name}: {value}\r\n" for name, value in customer.bearer().items())
    text = f"{method} /api/x HTTP/1.1\r\nHost: gateway.test\r\n{fields}Content-Length: 0\r\n\r\n".encode()

    def turn(action: str) -> httpx.Response:
        return world.gateway.admin.post(f"/{action}/tenant", params={"tenant_id": customer.id})

    with closing(Line(world)) as line:
        for _ in range(3):
            for _ in range(5):
                assert line.ask(method, [text]).startswith(b"HTTP/1.1 200 ")
            assert turn("suspend").status_code == 200
            for _ in range(3):
                assert b"TENANT_SUSPENDED" in line.ask(method, [text])
            assert turn("reactivate").status_code == 200


def test_many_sent_ahead_to_a_client_that_reads_late_are_all_answered_in_their_order(world: World) -> None:
    key, marker, sizes = world.mint(world.customer().id), uuid4().hex, (0, 7, 3_000, 60_000)
    for size in sizes:
        body = b"x" * size
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
        world.upstream.responses[f"/api/{marker}/{size}"] = lambda _, answer=answer: answer
    texts = [f"GET /api/{marker}/{size} HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: {key}\r\n\r\n".encode() for size in sizes]
    with closing(Line(world)) as line:
        for text in texts * 4:
            line.ask("GET", [text])
        told = line.ask("GET", [b"".join(texts * 60)])
        time.sleep(0.3)
        for size in (sizes * 60)[1:]:
            told = line.ask("GET", [])
            assert told.partition(b"\r\n\r\n")[2] == b"x" * size
    assert len(world.upstream.at(marker)) == 4 * 4 + 4 * 60
