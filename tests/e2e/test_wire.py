"""Bytes that two readers could understand differently, and clients that are slow, huge, or gone."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import World
from .recorder import Seen, json_answer
from .stack import Customer
from .wire import Reply, connect, eventually, exchange, head, read_all, resident

CLOSE = b"Connection: close"


@pytest.fixture(scope="module")
def customer(world: World) -> Customer:
    return world.customer()


@pytest.fixture
def at() -> str:
    return f"/api/{uuid4().hex}"


def refused(world: World, replies: list[Reply], at: str, status: int = 400, code: str | None = None) -> None:
    """One answer, the connection closed after it, and nothing for the upstream."""
    (reply,) = replies
    assert (reply.status, reply.fields["connection"]) == (status, "close")
    assert code is None or reply.problem["code"] == code
    assert reply.problem["code"]
    assert world.upstream.at(at.rpartition("/")[2]) == []


# Framing

CHUNKED, FIVE, EMPTY = b"Transfer-Encoding: chunked", b"Content-Length: 5", b"0\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        (FIVE, CHUNKED),
        (CHUNKED, FIVE),
        (FIVE, b"Content-Length: 10"),
        (FIVE, FIVE),
        (b"Content-Length: 5, 5",),
        *((b"Content-Length: " + value,) for value in (b"+5", b"1_0", b"0x5", b"-0", b"05", b"5 5", b"", b"\xb2", b"9" * 20)),
        *(
            (b"Transfer-Encoding: " + value,)
            for value in (
                b"xchunked",
                b",chunked",
                b"identity",
                b"\x0bchunked",
                b"gzip, chunked",
                b"chunked;a=b",
                b"",
                b"chunked,",
            )
        ),
        (b"Transfer-Encoding: chunked, chunked",),
        (CHUNKED, CHUNKED),
        (b"Transfer-Encoding : chunked",),
        (b"Content-Length : 5",),
        (b"Transfer_Encoding: chunked",),
        (b"Content_Length: 5",),
        (b"Transfer-Encoding:\r\n chunked",),
    ],
    ids=repr,
)
def test_a_body_whose_end_is_in_doubt_is_refused(world: World, customer: Customer, at: str, fields: tuple[bytes, ...]) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, *fields), EMPTY), at)


@pytest.mark.parametrize(
    "body",
    [
        b"0x1\r\na\r\n0\r\n\r\n",
        b"+1\r\na\r\n0\r\n\r\n",
        b"0_1\r\na\r\n0\r\n\r\n",
        b" 1\r\na\r\n0\r\n\r\n",
        b"-1\r\na\r\n0\r\n\r\n",
        b"F" * 17 + b"\r\na\r\n0\r\n\r\n",
        b"2;\nab\r\n0\r\n\r\n",
        b"1\rXa\r\n0\r\n\r\n",
        b"1\r\nZXX0\r\n\r\n",
        b"1\na\r\n0\r\n\r\n",
        b"1\r\na\r\n0\n\n",
    ],
    ids=repr,
)
def test_a_broken_chunk_never_becomes_a_complete_request(world: World, customer: Customer, at: str, body: bytes) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), body), at, code="BAD_REQUEST")
    # Also where the upstream has been reached already.
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), b"5\r\nhello\r\n", body), at)


@pytest.mark.parametrize(
    "endless", [b"1;" + b"a" * 400_000, b"0\r\nX-Trailer: " + b"a" * 400_000], ids=["extension", "trailer"]
)
def test_what_goes_with_chunks_is_bounded(world: World, customer: Customer, at: str, endless: bytes) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), endless), at)


def test_trailers_never_become_headers(world: World, customer: Customer, at: str) -> None:
    trailers = b"3\r\nabc\r\n0\r\nX-Tenant: evil\r\nX-Trailer: 1\r\n\r\n"
    (reply,) = exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED, CLOSE), trailers)
    (seen,) = world.upstream.at(at)
    assert (reply.status, seen.body) == (200, b"abc")
    assert seen.header("X-Tenant") == customer.slug
    assert seen.header("X-Trailer") is None


@pytest.mark.parametrize(
    "field",
    [
        b"X-A: v\nX-B: w",
        b"X-A: v\r\n folded",
        b"X-A: v\r\n\tfolded",
        *(b"X-A: v" + octet + b"w" for octet in (b"\0", b"\r", b"\x01", b"\x0b", b"\x7f")),
        b"X A: v",
        b"X-A : v",
        b": v",
        b"no colon",
    ],
    ids=repr,
)
def test_a_broken_header_is_refused(world: World, customer: Customer, at: str, field: bytes) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, field)), at, code="BAD_REQUEST")


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n", b"\x01", b"\xff", b"\r\n "], ids=repr)
def test_a_tenant_s_name_is_printable_ascii(world: World, customer: Customer, at: str, octet: bytes) -> None:
    whole = head(f"GET {at} HTTP/1.1", customer)
    refused(world, exchange(world, whole.replace(b"X-Tenant: t", b"X-Tenant: t" + octet)), at, code="BAD_REQUEST")


def test_lines_end_with_both_their_characters(world: World, customer: Customer, at: str) -> None:
    whole = head(f"GET {at} HTTP/1.1", customer)
    refused(world, exchange(world, whole.replace(b"\r\n", b"\n")), at)
    refused(world, exchange(world, whole[:-2] + b"\n"), at)


@pytest.mark.parametrize(
    "hosts",
    [None, b"Host: a\r\nHost: a", b"Host:", *(b"Host: " + value for value in (b"u@a", b"a,b", b"a b", b"a/b", b"a\xff"))],
)
def test_a_request_has_one_plain_host(world: World, customer: Customer, at: str, hosts: bytes | None) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, host=hosts)), at)


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "http/1.1", "HTTP/1.1 "])
def test_no_other_protocol_is_spoken(world: World, customer: Customer, at: str, version: str) -> None:
    refused(world, exchange(world, head(f"GET {at} {version}", customer)), at, code="BAD_REQUEST")


def test_bytes_that_are_no_request_are_told_so(world: World) -> None:
    for nonsense in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /api/x\r\n\r\n"):
        refused(world, exchange(world, nonsense), uuid4().hex, code="BAD_REQUEST")


def test_an_old_client_is_answered_and_the_connection_closed(world: World, customer: Customer, at: str) -> None:
    (reply,) = exchange(world, head(f"GET {at} HTTP/1.0", customer, b"Connection: keep-alive"))
    assert (reply.status, reply.fields["connection"]) == (200, "close")
    again = f"/api/{uuid4().hex}"
    refused(world, exchange(world, head(f"POST {again} HTTP/1.0", customer, CHUNKED), EMPTY), again)


@pytest.mark.parametrize(
    "fields",
    [[b"X-%d: v" % n for n in range(101)], [b"X-A: " + b"a" * 33_000], [b"X-A: " + b"a" * 1_000_000]],
    ids=["many", "large", "huge"],
)
def test_headers_are_bounded(world: World, customer: Customer, at: str, fields: list[bytes]) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, *fields)), at, 431, "HEADERS_TOO_LARGE")


def test_a_header_without_end_is_refused_while_it_comes(world: World, at: str) -> None:
    with connect(world) as connection:
        replies = read_all(connection, f"GET {at} HTTP/1.1\r\nX-A: ".encode(), *[b"a" * 65536] * 8)
    refused(world, replies, at, 431, "HEADERS_TOO_LARGE")


# Requests in requests


def test_what_stands_in_the_body_of_a_refused_request_never_runs(world: World, customer: Customer, at: str) -> None:
    inner = head(f"GET {at} HTTP/1.1", customer)
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", None, b"Content-Length: %d" % len(inner)), inner), at, 401)


def test_requests_before_a_broken_one_are_answered_first(world: World, customer: Customer, at: str) -> None:
    good, bad = head(f"GET {at} HTTP/1.1", customer), head(f"GET {at}-bad HTTP/1.1", customer, b"X A: v")
    replies = exchange(world, good + good + bad + good)
    assert [reply.status for reply in replies] == [200, 200, 400]
    assert replies[-1].problem["code"] == "BAD_REQUEST"
    assert len(world.upstream.at(at)) == 2


def test_a_request_of_which_the_body_is_broken_waits_its_turn(world: World, customer: Customer, at: str) -> None:
    good, bad = head(f"GET {at} HTTP/1.1", customer), head(f"POST {at}-bad HTTP/1.1", customer, CHUNKED) + b"zz\r\n"
    assert [reply.status for reply in exchange(world, good + bad)] == [200, 400]
    assert world.upstream.at(f"{at}-bad") == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.0"])
def test_other_upgrades_are_ignored(world: World, customer: Customer, at: str, protocol: bytes, method: str) -> None:
    asking = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    body = b"hello" if method == "POST" else b""
    length = [FIVE] if body else []
    first, second = head(f"{method} {at} HTTP/1.1", customer, *asking, *length), head(f"GET {at} HTTP/1.1", customer, CLOSE)
    assert [reply.status for reply in exchange(world, first + body + second)] == [200, 200]
    upgraded, plain = world.upstream.at(at)
    assert (upgraded.method, upgraded.body, plain.body) == (method, body, b"")
    assert upgraded.header("Upgrade") is upgraded.header("HTTP2-Settings") is upgraded.header("Connection") is None


KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("GET", (KEY, b"Sec-WebSocket-Version: 777")),
        ("GET", (KEY,)),
        ("GET", (b"Sec-WebSocket-Version: 13",)),
        ("GET", (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: short")),
        ("GET", (b"Sec-WebSocket-Version: 13", KEY, KEY)),
        ("POST", (b"Sec-WebSocket-Version: 13", KEY, FIVE)),
        ("GET", (b"Sec-WebSocket-Version: 13", KEY, b"Upgrade: websocket")),
        ("GET", (b"Sec-WebSocket-Version: 13", KEY, b"Sec-WebSocket-Protocol: a b")),
        ("GET", (b"Sec-WebSocket-Version: 13", KEY, b"Sec-WebSocket-Extensions: =")),
    ],
)
def test_a_broken_websocket_handshake_opens_no_tunnel(
    world: World, customer: Customer, at: str, line: str, fields: tuple[bytes, ...]
) -> None:
    asking = head(f"{line} {at} HTTP/1.1", customer, b"Connection: Upgrade", b"Upgrade: websocket", *fields)
    refused(world, exchange(world, asking + head(f"GET {at} HTTP/1.1", customer)), at, code="BAD_REQUEST")


def test_a_websocket_does_not_overtake_the_answer_before_it(world: World, customer: Customer, at: str) -> None:
    fields = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", KEY)
    replies = exchange(world, head(f"GET {at} HTTP/1.1", customer) + head(f"GET {at}-tunnel HTTP/1.1", customer, *fields))
    # The upstream is no WebSocket's: its answer to the handshake is an ordinary one, and comes second.
    assert [reply.status for reply in replies] == [200, 200]
    assert [json.loads(reply.body)["target"] for reply in replies] == [at, f"{at}-tunnel"]


def test_a_refused_websocket_is_one_line_of_the_log_without_its_query(world: World, at: str) -> None:
    fields = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", KEY)
    (reply,) = exchange(world, head(f"GET {at}?api_key={(secret := uuid4().hex)} HTTP/1.1", None, *fields))
    assert (reply.status, reply.problem["code"]) == (401, "TOKEN_MISSING")
    assert secret not in world.gateway.output
    assert eventually(lambda: at in world.gateway.output)
    (line,) = [line for line in world.gateway.output.splitlines() if at in line or "handshake" in line]
    assert reply.fields["x-request-id"] in line


# Targets


@pytest.mark.parametrize(
    "target",
    [
        "/api/../admin/{}",
        "/api/%2e%2e/admin/{}",
        "/api/.%2E/{}",
        "/api/{}/.",
        "/api/{}%2fx",
        "/api/{}%5Cx",
        "/api/{}\\x",
        "/api/{};x=/../b",
        "/api/{}%00",
        "/api/{}%0d%0aX-A:b",
        "/api/{}%zz",
        "/api/{}%c0%ae",
        "//api/{}",
        "/api//{}",
        "/api/{}#fragment",
        "/api/{}?a#fragment",
        "/api/\xc3\xa9{}",
        "/api/{}?q=\xff",
        "api/{}",
        "*",
        "http://evil.test/api/{}",
        "http://u@gateway.test/api/{}",
        "ftp://gateway.test/api/{}",
        "gateway.test:80",
    ],
)
def test_a_target_that_could_be_read_in_two_ways_is_refused(world: World, customer: Customer, target: str) -> None:
    marker = uuid4().hex
    refused(world, exchange(world, head(f"GET {target.format(marker)} HTTP/1.1", customer)), marker)


def test_a_long_target_is_414(world: World, customer: Customer, at: str) -> None:
    for target in (at + "a" * 8192, f"{at}?{'a' * 8192}"):
        refused(world, exchange(world, head(f"GET {target} HTTP/1.1", customer)), at, 414, "TARGET_TOO_LONG")


def test_an_absolute_target_is_forwarded_in_origin_form(world: World, customer: Customer, at: str) -> None:
    (reply,) = exchange(world, head(f"GET http://GATEWAY.test{at}?x HTTP/1.1", customer, CLOSE))
    assert reply.status == 200
    assert [seen.target for seen in world.upstream.at(at)] == [f"{at}?x"]


_PIECES = st.one_of(
    st.sampled_from(
        ["/", ".", "..", "%2e", "%2f", "%00", "?", "#", ";", "%", "%25", "%c3%a9", "//", "\\", "&", "=", "+", "~", "é"]
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=6),
)


@given(
    rest=st.lists(_PIECES, max_size=8).map("".join), prefix=st.sampled_from(["/api/", "/api", "/", "http://gateway.test/api/"])
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_path_that_was_authorised_is_the_one_that_arrives(world: World, customer: Customer, prefix: str, rest: str) -> None:
    marker = uuid4().hex
    asking = head(f"GET {prefix}{rest} HTTP/1.1", customer, b"X-Marker: " + marker.encode(), CLOSE)
    (reply,) = exchange(world, asking)
    seen = [seen for seen in world.upstream.seen[-3:] if seen.header("X-Marker") == marker]
    assert [seen.target for seen in seen] == (
        [(prefix + rest).removeprefix("http://gateway.test")] if reply.status == 200 else []
    )
    assert reply.status in (200, 400, 404)


# Methods


@pytest.mark.parametrize("line", ["TRACE {}", "CONNECT {}", "CONNECT gateway.test:443"])
def test_methods_that_mean_something_else_to_a_proxy_are_refused(world: World, customer: Customer, at: str, line: str) -> None:
    refused(world, exchange(world, head(f"{line.format(at)} HTTP/1.1", customer)), at, code="BAD_REQUEST")


def test_head_has_the_headers_of_get_and_no_body(world: World, customer: Customer, at: str) -> None:
    world.upstream.responses[at] = lambda seen: b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    with connect(world) as connection:
        connection.sendall(head(f"HEAD {at} HTTP/1.1", customer, CLOSE))
        received = connection.makefile("rb").read()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 7\r\n" in received
    assert received.endswith(b"\r\n\r\n")


def test_unknown_paths_are_404_and_wrong_methods_405(world: World) -> None:
    missing, wrong = exchange(world, head("GET /nowhere HTTP/1.1") + head("DELETE /reading/x HTTP/1.1", None, CLOSE))
    assert (missing.status, missing.problem["code"]) == (404, "ROUTE_NOT_FOUND")
    assert (wrong.status, wrong.problem["code"], wrong.fields["allow"]) == (405, "METHOD_NOT_ALLOWED", "GET, HEAD")


# Who calls


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (b"X-Tenant: globex", "DUPLICATE_HEADER"),
        (b"X-Tenant-Id: a\r\nX-Tenant-Id: b", "DUPLICATE_HEADER"),
        (b"Authorization: Bearer x", "DUPLICATE_HEADER"),
        (b"X-Tenant-Id: acme, globex", "DUPLICATE_HEADER"),
        (b"X_Tenant: globex", "LOOKALIKE_HEADER"),
        (b"X.Tenant: globex", "LOOKALIKE_HEADER"),
        (b"X_API_KEY: k", "LOOKALIKE_HEADER"),
    ],
)
def test_who_calls_is_said_once_and_plainly(world: World, customer: Customer, at: str, field: bytes, code: str) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, field)), at, code=code)


def test_two_tenants_in_one_header_are_refused(world: World, customer: Customer, at: str) -> None:
    whole = head(f"GET {at} HTTP/1.1", customer).replace(customer.slug.encode() + b"\r", customer.slug.encode() + b", globex\r")
    refused(world, exchange(world, whole), at, code="DUPLICATE_HEADER")


def test_other_words_for_target_and_method_are_dropped(world: World, customer: Customer, at: str) -> None:
    others = [
        b"X-Forwarded-Uri: /admin",
        b"X-Original-URL: /admin",
        b"X-HTTP-Method-Override: DELETE",
        b"X_Original_Url: /admin",
    ]
    (reply,) = exchange(world, head(f"GET {at} HTTP/1.1", customer, *others, CLOSE))
    (seen,) = world.upstream.at(at)
    assert (reply.status, seen.method, seen.target) == (200, "GET", at)
    assert not {"x-forwarded-uri", "x-original-url", "x-http-method-override", "x_original_url"} & {
        name.lower() for name, _ in seen.fields
    }


def test_an_upstream_says_nothing_about_identity_and_its_redirects_pass(world: World, customer: Customer, at: str) -> None:
    forged = (
        "X-Tenant: globex\r\nX-Auth-Role: root\r\nX-Gateway-Identity: e\r\nX-Served-Tenant: globex\r\nX-Request-Id: theirs\r\n"
    )
    world.upstream.responses[at] = lambda seen: json_answer({}, "302 Found", f"Location: http://elsewhere.test/\r\n{forged}")
    (reply,) = exchange(world, head(f"GET {at} HTTP/1.1", customer, CLOSE))
    assert (reply.status, reply.fields["location"]) == (302, "http://elsewhere.test/")
    assert not {"x-tenant", "x-auth-role", "x-gateway-identity", "x-served-tenant"} & reply.fields.keys()
    assert reply.fields["x-request-id"] != "theirs"
    assert len(world.upstream.at(at)) == 1


# Slow, huge, gone


def test_a_body_that_stands_still_is_408(world: World, customer: Customer, at: str) -> None:
    half = head(f"POST {at} HTTP/1.1", customer, b"Content-Length: 10") + b"hal"
    chunk = head(f"POST {at} HTTP/1.1", customer, CHUNKED) + b"5\r\nhal"
    with connect(world) as one, connect(world) as other:
        one.sendall(half)
        other.sendall(chunk)
        refused(world, read_all(one), at, 408, "REQUEST_TIMEOUT")
        refused(world, read_all(other), at, 408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize("length", [2_000, 20_000_000])
def test_an_answer_given_before_the_body_was_read_closes_the_connection(world: World, customer: Customer, length: int) -> None:
    at, sized = f"/bounded/{uuid4().hex}", b"Content-Length: %d" % length
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, sized), b"x" * length), at, 413, "BODY_TOO_LARGE")
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", None, sized), b"x" * length), at, 401)


def test_expect_is_answered_before_the_body_is_sent(world: World, customer: Customer, at: str) -> None:
    waiting = (b"Expect: 100-continue", FIVE)
    with connect(world) as connection:
        connection.sendall(head(f"POST {at} HTTP/1.1", customer, CLOSE, *waiting))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        (reply,) = read_all(connection, b"hello")
    assert (reply.status, world.upstream.at(at)[0].body) == (200, b"hello")
    unknown = f"/api/{uuid4().hex}"
    refused(world, exchange(world, head(f"POST {unknown} HTTP/1.1", None, *waiting)), unknown, 401)


def single(world: World, customer: Customer, at: str, begin: bytes, *, answered: bool) -> None:
    """The only slot of its route is taken by a client that goes away in the middle; the next one gets it."""
    with connect(world) as connection:
        connection.sendall(begin)
        if answered:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: world.gateway.public.get("/single/x", headers=customer.bearer()).status_code == 429)
    assert eventually(lambda: world.gateway.public.get("/single/x", headers=customer.bearer()).status_code == 200)
    assert eventually(lambda: at in world.upstream.cut), "the upstream's connection goes on"


def test_a_client_that_leaves_during_its_upload_frees_its_slot_and_the_upstream(world: World) -> None:
    customer, at = world.customer(), f"/single/{uuid4().hex}"
    single(
        world, customer, at, head(f"POST {at} HTTP/1.1", customer, b"Content-Length: 1000000") + b"x" * 300_000, answered=False
    )
    assert world.upstream.at(at) == []


def test_a_client_that_leaves_during_its_download_frees_its_slot_and_the_upstream(world: World) -> None:
    customer, at = world.customer(), f"/single/{uuid4().hex}"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000

    def respond(seen: Seen) -> bytes:
        return answer

    world.upstream.responses[at] = respond
    single(world, customer, at, head(f"GET {at} HTTP/1.1", customer), answered=True)


def test_a_thousand_half_heads_keep_nobody_from_being_served(world: World, customer: Customer) -> None:
    before = resident(world)
    with ExitStack() as stack:
        waiting: list[socket.socket] = [stack.enter_context(connect(world)) for _ in range(1000)]
        for connection in waiting:
            connection.sendall(b"GET /api/x HTTP/1.1\r\nHost: gateway.test\r\nX-A: ")
        answer = world.gateway.public.get("/api/x", headers=customer.bearer())
        assert (answer.status_code, answer.elapsed.total_seconds() < 2) == (200, True)
        assert resident(world) - before < 64 << 20
