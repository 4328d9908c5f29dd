from __future__ import annotations

from gateway.edge.head import Head, read_head
from gateway.edge.incoming import MAX_HEAD, Incoming
from gateway.edge.outgoing import Outgoing

GET = b"GET / HTTP/1.1\r\nHost: a"


def test_requests_that_were_sent_ahead_are_read_one_after_another() -> None:
    incoming = Incoming()
    incoming.received = b"\r\n" + GET + b"\r\nContent-Length: 3\r\n\r\nabc" + GET + b"\r\n\r\n" + b"GE"
    first = incoming.next_head()
    assert isinstance(first, bytes)
    assert incoming.begin_body(read_head(first)) == b"abc"
    assert incoming.next_head() == GET
    assert incoming.next_head() is None
    assert incoming.received == b"GE"


def test_a_body_that_is_still_to_come_is_taken_in_pieces_and_no_further() -> None:
    incoming = Incoming()
    incoming.received = b"ab"
    assert incoming.begin_body(Head(length=5)) is None
    assert (list(incoming.pieces()), incoming.complete) == ([b"ab"], False)
    incoming.received = b"cdeGET"
    assert (list(incoming.pieces()), incoming.complete, incoming.received) == ([b"cde"], True, b"GET")


def test_what_cannot_become_a_head_is_told_before_it_ends() -> None:
    for beginning in (b"GET / HTTP/1.1\nHost: a", b"\x16\x03\x01", b"GET /\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD):
        incoming = Incoming()
        incoming.received = beginning
        head = incoming.next_head()
        assert isinstance(head, Head)
        assert head.fault is not None


def test_a_line_feed_is_missed_wherever_the_network_cuts() -> None:
    whole = GET + b"\r\nX: 1\r\nY: 2\nZ: 3"
    for cut in range(1, len(whole)):
        incoming = Incoming()
        incoming.received = whole[:cut]
        early = incoming.next_head()
        incoming.received = whole if early is None else b""
        assert isinstance(early or incoming.next_head(), Head)


def test_an_answer_is_framed_as_the_client_can_read_it() -> None:
    current, old = Outgoing(Head(persistent=True)), Outgoing(Head(current=False, persistent=False))
    assert b"transfer-encoding: chunked" in current.start(200, [], sized=False)
    assert current.piece(b"abc") + current.last(b"") == b"3\r\nabc\r\n0\r\n\r\n"
    assert b"connection: close" in old.start(200, [], sized=False)
    assert old.piece(b"abc") + old.last(b"") == b"abc"


def test_a_head_and_its_like_have_no_body() -> None:
    for head, status in (
        (Head(method="HEAD", persistent=True), 200),
        (Head(persistent=True), 204),
        (Head(persistent=True), 304),
    ):
        outgoing = Outgoing(head)
        assert b"chunked" not in outgoing.start(status, [], sized=False)
        assert outgoing.piece(b"abc") + outgoing.last(b"d") == b""
        assert outgoing.persistent


def test_a_client_that_waits_is_told_to_go_on_once_and_not_after_the_answer_has_begun() -> None:
    waiting = Outgoing(Head(continues=True))
    assert waiting.interim() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert waiting.interim() == b""
    answered = Outgoing(Head(continues=True))
    answered.start(413, [], sized=True)
    assert answered.interim() == b""
