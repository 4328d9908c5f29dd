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
from .oddities import CHANGES, CHUNKED, CHUNKS, CLOSE, EMPTY, FIELDS, FIVE, FRAMINGS, HOSTS, LINES, TARGETS, UPGRADES
from .recorder import Seen, json_answer
from .stack import Customer
from .wire import Reply, connect, eventually, exchange, head, read_all, resident


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


@pytest.mark.parametrize("fields", FRAMINGS, ids=repr)
def test_a_body_whose_end_is_in_doubt_is_refused(world: World, customer: Customer, at: str, fields: tuple[bytes, ...]) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, *fields), EMPTY), at)


@pytest.mark.parametrize("body", CHUNKS, ids=repr)
def test_a_broken_chunk_never_becomes_a_complete_request(world: World, customer: Customer, at: str, body: bytes) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), body), at, code="BAD_REQUEST")
    # Also where the upstream has been reached already.
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), b"5\r\nhello\r\n", body), at)


@pytest.mark.parametrize(
    "endless", [b"1;" + b"a" * 400_000, b"0\r\nX-Trailer: " + b"a" * 400_000], ids=["extension", "trailer"]
)
def test_what_goes_with_chunks_is_bounded(world: World, customer: Customer, at: str, endless: bytes) -> None:
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), endless), at)


def test_chunks_bring_little_beside_the_body(world: World, customer: Customer, at: str) -> None:
    chunks = [b"1;" + b"e" * 16_000 + b"\r\nx\r\n"] * 64
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED), *chunks), at)


def test_a_request_in_single_bytes_is_one_request(world: World, customer: Customer, at: str) -> None:
    whole = head(f"POST {at}?q=%20 HTTP/1.1", customer, CHUNKED, CLOSE) + b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: v\r\n\r\n"
    with connect(world) as connection:
        (reply,) = read_all(connection, *(whole[place : place + 1] for place in range(len(whole))), pause=0.0001)
    (seen,) = world.upstream.at(at)
    assert (reply.status, seen.target, seen.body) == (200, f"{at}?q=%20", b"abcde")


def test_trailers_never_become_headers(world: World, customer: Customer, at: str) -> None:
    trailers = b"3\r\nabc\r\n0\r\nX-Tenant: evil\r\nX-Trailer: 1\r\n\r\n"
    (reply,) = exchange(world, head(f"POST {at} HTTP/1.1", customer, CHUNKED, CLOSE), trailers)
    (seen,) = world.upstream.at(at)
    assert (reply.status, seen.body) == (200, b"abc")
    assert seen.header("X-Tenant") == customer.slug
    assert seen.header("X-Trailer") is None


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_a_broken_header_is_refused(world: World, customer: Customer, at: str, field: bytes) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, field)), at, code="BAD_REQUEST")


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n", b"\x01", b"\xff", b"\r\n "], ids=repr)
def test_a_tenant_s_name_is_printable_ascii(world: World, customer: Customer, at: str, octet: bytes) -> None:
    whole = head(f"GET {at} HTTP/1.1", customer)
    refused(world, exchange(world, whole.replace(b"X-Tenant: t", b"X-Tenant: t" + octet)), at, code="BAD_REQUEST")


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_lines_end_with_both_their_characters(world: World, customer: Customer, at: str, old: bytes, new: bytes) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer).replace(old, new), b"\r\n\r\n"), at)


@pytest.mark.parametrize("hosts", HOSTS, ids=repr)
def test_a_request_has_one_plain_host(world: World, customer: Customer, at: str, hosts: bytes | None) -> None:
    refused(world, exchange(world, head(f"GET {at} HTTP/1.1", customer, host=hosts)), at)


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_no_other_protocol_is_spoken(world: World, customer: Customer, at: str, line: str) -> None:
    refused(world, exchange(world, head(line.replace("{}", at), customer)), at, code="BAD_REQUEST")


def test_an_empty_line_may_stand_before_a_request(world: World, customer: Customer, at: str) -> None:
    """RFC 9112, 2.2: some old clients send one after a body."""
    whole = head(f"POST {at} HTTP/1.1", customer, FIVE) + b"hello\r\n" + head(f"GET {at} HTTP/1.1", customer, CLOSE)
    assert [reply.status for reply in exchange(world, whole)] == [200, 200]


@pytest.mark.parametrize("before", [b"\n", b"\r", b"\r\n\n", b" \r\n"])
def test_nothing_else_stands_before_a_request(world: World, customer: Customer, at: str, before: bytes) -> None:
    refused(world, exchange(world, before + head(f"GET {at} HTTP/1.1", customer, CLOSE)), at)


def test_empty_lines_without_end_are_refused(world: World, customer: Customer, at: str) -> None:
    (reply,) = exchange(world, b"\r\n" * 100_000, head(f"GET {at} HTTP/1.1", customer, CLOSE))
    assert (reply.status in (400, 431), world.upstream.at(at)) == (True, [])


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


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("at", "signed", "status"),
    [("/api/{}", False, 401), ("/nowhere/{}", True, 404), ("/reading/{}", True, 405), ("/bounded/{}", True, 413)],
)
def test_what_stands_in_the_body_of_a_refused_request_never_runs(
    world: World, customer: Customer, at: str, signed: bool, status: int, is_chunked: bool
) -> None:
    at, inner = at.format(uuid4().hex), head(f"GET /api/{(marker := uuid4().hex)} HTTP/1.1", customer) * 8
    size = b"%x\r\n" % len(inner)
    framing, body = (CHUNKED, size + inner + b"\r\n" + EMPTY) if is_chunked else (b"Content-Length: %d" % len(inner), inner)
    refused(world, exchange(world, head(f"POST {at} HTTP/1.1", customer if signed else None, framing), body), at, status)
    assert world.upstream.at(marker) == []


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
@pytest.mark.parametrize("asking", UPGRADES, ids=repr)
def test_other_upgrades_are_ignored(world: World, customer: Customer, at: str, asking: tuple[bytes, ...], method: str) -> None:
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


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_a_target_that_could_be_read_in_two_ways_is_refused(world: World, customer: Customer, target: str) -> None:
    marker = uuid4().hex
    refused(world, exchange(world, head(f"GET {target.format(marker, way='/api')} HTTP/1.1", customer)), marker)


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
