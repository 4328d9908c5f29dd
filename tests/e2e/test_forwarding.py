"""What passes in both directions, and what each side sees when the other fails."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from .conftest import World
from .recorder import Seen, json_answer


def test_the_target_is_forwarded_byte_for_byte(world: World) -> None:
    customer = world.customer()
    for target in ("/api/a%20b/~c?x=%7e&y=a+b&empty=&&z", f"/api/{uuid4().hex}?", "/api/x:y@z,(1)*'!$&=+?q=/?:@"):
        marker = uuid4().hex
        head = {"X-Marker": marker, **customer.bearer()}
        assert raw(world, f"GET {target} HTTP/1.1", head).startswith(b"HTTP/1.1 200")
        (seen,) = [seen for seen in world.upstream.seen if seen.header("X-Marker") == marker]
        assert seen.target == target


def test_what_a_client_says_about_itself_never_reaches_the_upstream(world: World) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"
    forged = {
        "X-Auth-Subject": "root",
        "X-Auth-Role": "admin",
        "x-auth-scopes": "all",
        "X-Tenant-Schema": "public",
        "X-Tenant-Plan": "enterprise",
        "X-Key-Id": "key_1",
        "X-Gateway-Identity": "forged",
        "X_Gateway_Identity": "forged",
        "X-Environment": "test",
        "X-Allowed-Domain-Ids": "dom_1",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6",
        "X-Request-Id": "chosen-by-client",
        "X-Original-URL": "/admin",
        "X-Rewrite-URL": "/admin",
        "X-Forwarded-Uri": "/admin",
        "X-HTTP-Method-Override": "DELETE",
        "X-Served-Tenant": "globex",
        "Proxy": "http://evil.example",
        "TE": "trailers",
        "Connection": "close, X-Tenant, X-Gateway-Identity",
    }
    assert world.gateway.public.get(at, headers=forged | customer.bearer()).status_code == 200
    (seen,) = world.upstream.at(at)
    assert seen.header("X-Tenant") == customer.slug
    assert seen.header("X-Auth-Subject") == "user-1"
    assert seen.header("X-Auth-Role") == "manager"
    assert seen.header("X-Tenant-Plan") == "free"
    assert seen.header("X-Forwarded-For") == "127.0.0.1"
    text = json.dumps(seen.fields).lower()
    for trace in ("6.6.6.6", "evil", "forged", "/admin", "delete", "globex", "key_1", "dom_1", "chosen-by-client", '"all"'):
        assert trace not in text
    assert len([name for name, _ in seen.fields if name.lower().replace("_", "-") == "x-gateway-identity"]) == 1


def test_what_an_upstream_says_about_identity_never_reaches_the_client(world: World) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"
    fields = "X-Tenant: globex\r\nX-Gateway-Identity: s\r\nX-Served-Tenant: globex\r\nX-Auth-Role: x\r\nSet-Cookie: a=b\r\n"
    world.upstream.responses[at] = lambda seen: json_answer({}, "302 Found", fields + "Location: http://elsewhere.example/\r\n")
    answer = world.gateway.public.get(at, headers=customer.bearer())
    assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.example/")
    assert answer.headers["set-cookie"] == "a=b"
    assert not {"x-tenant", "x-gateway-identity", "x-served-tenant", "x-auth-role"} & set(answer.headers)


@pytest.mark.parametrize("size", [0, 1, 5 << 20])
def test_bodies_pass_both_ways(world: World, size: int) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"
    content = b"x" * size
    world.upstream.responses[at] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen.body) + seen.body
    assert world.gateway.public.post(at, content=content, headers=customer.bearer()).content == content
    chunks = (content[n : n + 70_000] for n in range(0, size, 70_000))
    assert world.gateway.public.post(at, content=chunks, headers=customer.bearer()).content == content
    assert world.upstream.at(at)[0].header("Content-Length") == str(size)


def test_a_body_over_the_route_s_limit_is_413(world: World) -> None:
    customer, at = world.customer(), f"/bounded/{uuid4().hex}"
    answer = world.gateway.public.post(at, content=b"x" * 1025, headers=customer.bearer())
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert world.upstream.at(at) == []
    chunked = world.gateway.public.post(at, content=(b"x" * 600 for _ in range(2)), headers=customer.bearer())
    assert chunked.status_code == 413
    assert [seen for seen in world.upstream.at(at) if len(seen.body) >= 1024] == []


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"", "UPSTREAM_CLOSED"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "UPSTREAM_INVALID_RESPONSE"),
        (b"nonsense\r\n\r\n", "UPSTREAM_INVALID_RESPONSE"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "UPSTREAM_INVALID_RESPONSE"),
    ],
)
def test_an_upstream_that_talks_nonsense_is_502(world: World, response: bytes, code: str) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"

    def respond(seen: Seen) -> bytes:
        if not response:
            raise ConnectionError
        return response

    world.upstream.responses[at] = respond
    answer = world.gateway.public.post(at, content=b"once", headers=customer.bearer())
    assert (answer.status_code, answer.json()["code"]) == (502, code)
    assert len(world.upstream.at(at)) == 1, "a request with a body was sent again"


def test_an_answer_that_breaks_off_never_ends_cleanly(world: World) -> None:
    customer, at = world.customer(), f"/api/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf"
    world.upstream.closing.add(at)
    with pytest.raises(httpx.RemoteProtocolError):
        world.gateway.public.get(at, headers=customer.bearer())


def test_upstream_failures_are_given_back_to_the_quota(world: World) -> None:
    customer, at = world.customer("small"), f"/metered/{uuid4().hex}"
    world.upstream.responses[at] = lambda seen: json_answer({}, "500 Internal Server Error")
    for _ in range(5):
        assert world.gateway.public.get(at, headers=customer.bearer()).status_code == 500
    del world.upstream.responses[at]
    statuses = [world.gateway.public.get(at, headers=customer.bearer()).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def raw(world: World, line: str, fields: dict[str, str]) -> bytes:
    """One request as bytes that no client tidies; the answer as it came."""
    address = urlsplit(world.gateway.public_url)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(f"{line}\r\nHost: {address.netloc}\r\nConnection: close\r\n{head}\r\n".encode("latin-1"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer
