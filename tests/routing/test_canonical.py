"""Spellings of a target that two readers could understand differently are refused, and the rest is left as it is."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import BAD_PATH, BAD_REQUEST, TARGET_TOO_LONG, Refused
from gateway.routing.canonical import MAX_TARGET, check_target, has_encoded_slash


def problem(target: bytes):
    with pytest.raises(Refused) as refused:
        check_target(target)
    return refused.value.problem


PLAIN = """
    / /a /a/ /a/b /%C3%A9 /a%20b /a:b@c /... /.well-known/x /a..b /~x/-_.!$&'()*+,=
    /? /?a=b&c /?q=../.. /?q=%2f%2e /?a;b /?next=https://x.example/y?z /?a[]=1
"""
DOTS = "/api/../admin /.. /. /a/. /a/.. /./a /%2e%2e/admin /%2E%2e /.%2e/a /%2e./a /a/%2e"
AMBIGUOUS = r"""
    //x // /a//b /a// /\x /a;x=/../ /a;x /%00 /%0d%0a /%7f /%1F /%zz /% /%2
    /%c0%ae /%C0%AF /%c1%9c /%e0%80%af /%f0%80%80%af /%f8%80%80%80%af /%ff
    /" /< /a#b /{a} /a|b /^ /` * a http://x/ ?a
"""


@pytest.mark.parametrize("target", PLAIN.split())
def test_a_plain_target_passes(target):
    check_target(target.encode())


@pytest.mark.parametrize("path", DOTS.split())
def test_dot_segments_are_refused_in_every_spelling(path):
    assert problem(path.encode()) is BAD_PATH
    assert problem(path.encode() + b"?q=1") is BAD_PATH


@pytest.mark.parametrize("path", [*AMBIGUOUS.split(), "", "/a b", "/a\tb", "/a\x00", "/a\r\nb", "/é"])
def test_paths_that_two_readers_could_read_differently_are_refused(path):
    assert problem(path.encode()) is BAD_PATH


@pytest.mark.parametrize("query", [b"%", b"%zz", b"a b", b"a\x00", b"a\r\nb", b"a#b", b"\xff"])
def test_queries_that_are_none_are_refused(query):
    assert problem(b"/?" + query) is BAD_REQUEST


def test_a_target_has_a_longest_length():
    check_target(b"/" + b"a" * (MAX_TARGET - 1))
    assert problem(b"/" + b"a" * MAX_TARGET) is TARGET_TOO_LONG


@pytest.mark.parametrize("path", ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb"])
def test_encoded_slashes_are_told(path):
    assert has_encoded_slash(path)
    assert not has_encoded_slash("/a/b%20c%252f")


PIECES = r"/ . .. %2e %2E %2f %5C %25 %c0 %e0 %80 %C3%A9 a B ; \ %0a ~"
paths = st.lists(st.sampled_from(PIECES.split()), max_size=12).map(lambda parts: ("/" + "".join(parts)).encode())


@given(paths | st.binary(max_size=12).map(lambda tail: b"/" + tail))
@example(b"/%e0%80%ae%e0%80%ae/x")
def test_decoding_an_accepted_path_never_changes_its_segments(path):
    try:
        check_target(path)
    except Refused:
        return
    if has_encoded_slash(path.decode()) or b"?" in path:
        return
    segments = path.split(b"/")[1:]
    decoded = unquote_to_bytes(path).split(b"/")[1:]
    assert decoded == [unquote_to_bytes(segment) for segment in segments]
    assert not {b".", b".."} & set(decoded)
    assert b"" not in decoded[:-1]
    assert not re.search(rb"[\x00-\x1f\x7f\\;]", unquote_to_bytes(path))
