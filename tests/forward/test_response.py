from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forward import response_head
from gateway.forward.response import MAX_INTERIM, ResponseReader
from gateway.forward.response_head import MAX_HEAD, MAX_HEADERS, InvalidResponse

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, method: str = "GET", size: int = 0) -> tuple[ResponseReader, bytes]:
    """Feed `data` in pieces of `size` bytes, or at once; the reader, and the body."""
    reader, body, step = ResponseReader(method), b"", size or len(data)
    for start in range(0, len(data), step):
        body += b"".join(reader.feed(data[start : start + step]))
    return reader, body


WELL_FORMED = [
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (OK + b"Content-Length: 0\r\n\r\n", b""),
    (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello"),
    (CHUNKED + b"5\r\nhello\r\n0\r\nX-Tenant: globex\r\n\r\n", b"hello"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", b"x"),
    (b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM + OK + b"Content-Length: 1\r\n\r\nx", b"x"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    (b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", b""),
]


@pytest.mark.parametrize(("data", "body"), WELL_FORMED)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_well_formed_response_is_read_however_it_arrives(data: bytes, body: bytes, size: int) -> None:
    reader, received = read(data, size=size)
    assert (reader.complete, reader.persistent, received) == (True, True, body)


def test_names_come_in_lower_case_and_values_without_their_margins() -> None:
    reader, _ = read(OK + b"X-A:  b c \t\r\nContent-Length: 0\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n")
    assert reader.head is not None
    assert reader.head.headers == ((b"x-a", b"b c"), (b"content-length", b"0"), (b"set-cookie", b"a"), (b"set-cookie", b"b"))


def test_trailers_and_interim_heads_never_become_headers() -> None:
    reader, _ = read(b"HTTP/1.1 103 E\r\nX-A: 1\r\n\r\n" + CHUNKED + b"0\r\nX-B: 1\r\n\r\n")
    assert reader.head is not None
    assert reader.head.headers == ((b"transfer-encoding", b"chunked"),)


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_the_answer_to_head_has_no_body_whatever_it_declares(framing: bytes) -> None:
    reader, _ = read(OK + framing + b"\r\n\r\n", "HEAD")
    assert reader.complete
    assert reader.persistent


def test_a_body_without_a_length_lasts_until_the_connection_ends() -> None:
    reader, body = read(OK + b"\r\nhello")
    assert (reader.complete, reader.persistent, body) == (False, False, b"hello")
    assert reader.end()


@pytest.mark.parametrize("data", [OK + b"Content-Length: 5\r\n\r\nhell", CHUNKED + b"5\r\nhello\r\n0\r\n", b"", OK])
def test_a_response_that_is_cut_off_is_not_complete(data: bytes) -> None:
    reader, _ = read(data) if data else (ResponseReader("GET"), b"")
    assert not reader.end()


@pytest.mark.parametrize("head", [OK + b"Connection: foo, Close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_that_ends_is_not_persistent(head: bytes) -> None:
    reader, _ = read(head + b"Content-Length: 0\r\n\r\n")
    assert reader.complete
    assert not reader.persistent


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", id="CL and TE"),
        pytest.param(OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", id="CL twice"),
        pytest.param(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", id="CL conflicting"),
        pytest.param(OK + b"Content-Length: 5, 5\r\n\r\n", id="CL list"),
        *(
            pytest.param(OK + b"Content-Length: %b\r\n\r\n" % v, id=f"CL {v!r}")
            for v in (b"+5", b"-0", b"0x5", b"1_0", b"", b"5a")
        ),
        pytest.param(OK + b"Content-Length: 9999999999999999999999\r\n\r\n", id="CL overflow"),
        *(
            pytest.param(OK + b"Transfer-Encoding: %b\r\n\r\n" % v, id=f"TE {v!r}")
            for v in (b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked", b",chunked", b"\x0bchunked", b"")
        ),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", id="TE twice"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="TE in 1.0"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare LF throughout"),
        pytest.param(OK + b"X-A: b\nContent-Length: 0\r\n\r\n", id="bare LF once"),
        pytest.param(OK + b"X-A: b\rX: y\r\nContent-Length: 0\r\n\r\n", id="bare CR"),
        pytest.param(OK + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", id="obs-fold"),
        pytest.param(OK + b"X-A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n", id="obs-fold by tab"),
        pytest.param(OK + b"X-A : b\r\nContent-Length: 0\r\n\r\n", id="space before colon"),
        pytest.param(OK + b"X-A: b\0c\r\nContent-Length: 0\r\n\r\n", id="NUL"),
        pytest.param(OK + b"X-A: b\x01c\r\nContent-Length: 0\r\n\r\n", id="control character"),
        pytest.param(OK + b"no colon\r\n\r\n", id="no colon"),
        pytest.param(OK + b"Content-Length: 1\r\n\r\nxy", id="extra bytes after CL"),
        pytest.param(OK + b"Content-Length: 0\r\n\r\n" + OK + b"\r\n", id="second response"),
        pytest.param(CHUNKED + b"0\r\n\r\nx", id="extra bytes after chunks"),
        pytest.param(CHUNKED + b"0\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", id="second response after chunks"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\nx", id="body of 204"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\nx", id="body of 304"),
        *(
            pytest.param(CHUNKED + v, id=f"chunk {v!r}")
            for v in (b"0x1\r\n", b"+1\r\n", b" 1\r\n", b"0_1\r\n", b"2;\n", b"1\r\naX")
        ),
        pytest.param(CHUNKED + b"ffffffffffffffffff\r\n", id="chunk overflow"),
        pytest.param(b"<html>hello", id="HTTP/0.9"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="HTTP/2.0"),
        pytest.param(b"\r\n" + OK + b"\r\n", id="empty line first"),
        *(
            pytest.param(b"HTTP/1.1 %b X\r\n\r\n" % v, id=f"status {v!r}")
            for v in (b"099", b"600", b"999", b"20", b"2000", b"+20")
        ),
        pytest.param(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", id="101"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1), id="interim heads without end"),
        pytest.param(OK + b"X-A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", id="too many headers"),
        pytest.param(OK + b"X-A: " + b"b" * MAX_HEAD + b"\r\n\r\n", id="head too large"),
        pytest.param(OK + b"X-A: " + b"b" * MAX_HEAD, id="head without end"),
        pytest.param(CHUNKED + b"0\r\nX-A: " + b"b" * MAX_HEAD, id="trailers without end"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_what_two_readers_could_read_differently_is_refused(data: bytes, pieces: int) -> None:
    with pytest.raises(InvalidResponse):
        read(data, size=-(-len(data) // pieces))


@given(body=st.lists(st.binary(min_size=1, max_size=50)), cuts=st.integers(1, 40))
def test_a_chunked_body_is_what_was_sent_wherever_it_is_cut(body: list[bytes], cuts: int) -> None:
    data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body) + b"0\r\n\r\n"
    reader, received = read(data, size=cuts)
    assert (reader.complete, received) == (True, b"".join(body))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_raise_anything_else(data: bytes, size: int) -> None:
    for start in (b"", OK, CHUNKED):
        with suppress(InvalidResponse):
            read(start + data, size=size)


def test_chunks_that_arrive_together_are_passed_on_together() -> None:
    assert ResponseReader("GET").feed(CHUNKED + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n") == (b"x" * 1000,)


def test_what_is_remembered_of_names_is_small_whatever_names_there_are() -> None:
    for number in range(5000):
        read(OK + b"X-%d: 1\r\n" % number + b"X" * 2000 + b"-%d: 1\r\nContent-Length: 0\r\n\r\n" % number)
    assert sum(map(len, response_head._IS_TOKEN)) < 1 << 20
