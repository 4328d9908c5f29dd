from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.head import can_begin, read_head


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /a?b=c HTTP/1.1", b"Host: a", *lines])


def test_a_head_is_read_as_it_stands() -> None:
    got = read_head(head(b"X-A:  one \t", b"x-b:two: three", b"X-Empty:"))
    assert (got.method, got.target, got.current, got.persistent, got.length, got.fault) == (
        "GET",
        b"/a?b=c",
        True,
        True,
        0,
        None,
    )
    assert got.fields == ((b"host", b"a"), (b"x-a", b"one"), (b"x-b", b"two: three"), (b"x-empty", b""))


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET / RTSP/1.0",
        b"GET / HTTP/1.2",
        b"GET / http/1.1",
        b"GET /",
        b"GET",
        b"",
        b"G\x00T / HTTP/1.1",
        b"A" * 33 + b" / HTTP/1.1",
    ],
)
def test_a_first_line_has_three_parts_and_a_version_that_is_spoken(line: bytes) -> None:
    assert read_head(line + b"\r\nHost: a").fault is not None


@pytest.mark.parametrize("line", [b" folded", b"\tfolded", b"no colon", b"X: a\nY: b", b"X: a\rb", b"X: \x00", b"X: \x7f"])
def test_a_line_that_two_readers_could_read_differently_is_refused(line: bytes) -> None:
    got = read_head(head(line))
    # A folded line, and one whose name is no token, are left to the check of names.
    assert got.fault is not None or not got.fields[-1][0].strip().isalnum()


def test_the_framing_is_read_once() -> None:
    assert read_head(head(b"Content-Length: 12")).length == 12
    assert read_head(head(b"Transfer-Encoding: Chunked")).length is None
    assert read_head(head(b"Content-Length: 1", b"Transfer-Encoding: chunked")).fault is not None
    assert read_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked").fault is not None


def test_what_becomes_of_the_connection_is_read_too() -> None:
    assert not read_head(head(b"Connection: keep-alive, Close")).persistent
    assert not read_head(b"GET / HTTP/1.0\r\nConnection: keep-alive").persistent
    assert read_head(head(b"Expect: 100-Continue")).continues
    assert read_head(head(b"Connection: Upgrade", b"Upgrade: h2c, WebSocket")).to_websocket
    assert not read_head(head(b"Upgrade: websocket")).to_websocket, "it is not named by Connection"


def test_a_beginning_tells_whether_it_can_become_a_request() -> None:
    assert all(can_begin(line) for line in (b"", b"G", b"GET", b"GET /", b"M-SEARCH *"))
    assert not any(can_begin(line) for line in (b"\x16\x03\x01", b"get", b" GET", b"A" * 33))


class _Seen:
    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))


_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=12).map(lambda text: text.encode("latin-1"))
_name = st.text("ABCabc-_!1", min_size=1, max_size=8).map(str.encode)
_target = st.text("abc/?&=%20;.~", max_size=12).map(lambda text: b"/" + text.encode())


@given(method=st.sampled_from(["GET", "POST", "PURGE"]), target=_target, fields=st.lists(st.tuples(_name, _text), max_size=5))
def test_another_parser_reads_the_same(method: str, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    """What is accepted here means the same to llhttp."""
    block = b"\r\n".join([b"%b %b HTTP/1.1" % (method.encode(), target), *[b"X%b:%b" % field for field in fields]])
    got, seen = read_head(block), _Seen()
    if got.fault is not None:
        return
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(block + b"\r\n\r\n")
    assert (parser.get_method().decode(), seen.url, tuple(seen.fields)) == (got.method, got.target, got.fields)
