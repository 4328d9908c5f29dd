from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.chunks import Chunks
from gateway.errors import Refused


def read(*pieces: bytes) -> tuple[bytes, Chunks]:
    chunks = Chunks()
    return b"".join(piece for data in pieces for piece in chunks.feed(data)), chunks


def test_a_body_in_chunks_is_put_together_and_what_follows_it_is_left() -> None:
    body, chunks = read(b"3\r\nabc\r\nA;a=b\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\nGET /")
    assert (body, chunks.complete, chunks.rest) == (b"abc0123456789", True, b"GET /")


@given(pieces=st.lists(st.binary(min_size=1, max_size=20), max_size=5), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_where_the_network_cuts_changes_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    at = sorted({0, *[cut for cut in cuts if cut < len(whole)], len(whole)})
    body, chunks = read(*(whole[start:end] for start, end in pairwise(at)))
    assert (body, chunks.complete, chunks.rest) == (b"".join(pieces), True, b"")


@pytest.mark.parametrize(
    "broken",
    [
        b"0x1\r\na\r\n",
        b"+1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"0_1\r\na\r\n",
        b"\r\na",
        b"F" * 16 + b"\r\na",
        b"1\r\naX\r\n",
        b"1\r\nab\r\n",
        b"1\na\r\n0\r\n\r\n",
        b"2;\nab\r\n",
        b"1;\x00\r\na\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"1;" + b"a" * 300,
        b"1;" + b"a" * 300 + b"\r\na",
        b"0\r\n" + b"X: 1\r\n" * 2000,
        b"0\r\nX: " + b"a" * 9000,
    ],
    ids=lambda broken: repr(broken[:12]),
)
def test_a_chunk_that_is_not_well_formed_ends_the_message_at_once(broken: bytes) -> None:
    with pytest.raises(Refused):
        read(broken)
    with pytest.raises(Refused):
        read(*(broken[at : at + 1] for at in range(len(broken))))
