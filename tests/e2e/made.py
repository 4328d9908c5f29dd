"""Requests as hypothesis makes them: what is meant, the bytes that say it, and ways to damage and to split them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from .oddities import CHUNKED, FRAMINGS

_TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMUGGLED = b"GET /direct/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
PROOF = b"@PROOF@\r\n"
"""Stands in a head for the headers that say who calls."""
WAY = b"@WAY@"


class _Large(bytes):
    """Told in few words where a test fails."""

    def __repr__(self) -> str:
        return f"b'x' * {len(self)}"


@dataclass(frozen=True)
class Made:
    """`target` follows the route's path. `odd_framing` replaces what says the body's length, and has no right reading."""

    method: str
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    """The body, in its chunks."""
    chunked: bool
    extension: bytes
    trailers: bytes
    odd_framing: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def text(self, *, last: bool) -> bytes:
        lines = [b"%s %s%s HTTP/1.1\r\n" % (self.method.encode(), WAY, self.target), b"Host: gateway.test\r\n", PROOF]
        lines += [b"%s:%s\r\n" % field for field in self.fields]
        if last:
            lines.append(b"Connection: close\r\n")
        if self.odd_framing:
            lines += [field + b"\r\n" for field in self.odd_framing]
        elif self.chunked:
            lines.append(CHUNKED + b"\r\n")
        elif self.pieces:
            lines.append(b"Content-Length: %d\r\n" % len(self.body))
        return b"".join(lines) + b"\r\n" + (self._chunks() if self.chunked else self.body)

    def _chunks(self) -> bytes:
        sized = [b"%x%s\r\n%s\r\n" % (len(piece), self.extension, piece) for piece in self.pieces if piece]
        return b"".join(sized) + b"0" + self.extension + b"\r\n" + self.trailers + b"\r\n"


def _octets(alphabet: bytes, **size: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(alphabet), **size).map(bytes)


_PLAIN = _octets(b"abcXYZ019-._~", max_size=8)
_ANY_OCTETS = st.one_of(_octets(bytes(range(0x21, 0x7F)), max_size=6), st.binary(max_size=6))
_METHODS = st.one_of(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "M-SEARCH", "PURGE"]),
    st.text(_TCHAR, min_size=1, max_size=8),
)
_TARGETS = st.tuples(
    st.sampled_from([b"/", b"/", b"/", b"/a/", b"//", b"/./", b"/%2e%2e/"]),
    st.one_of(_PLAIN, _ANY_OCTETS),
    st.sampled_from([b"", b"?", b"?a=b", b"?a=%00&b=[]", b"#"]),
    st.one_of(st.just(b""), _PLAIN, _ANY_OCTETS),
).map(b"".join)
_NAMES = st.one_of(
    st.sampled_from([b"X-Made", b"x-MADE-2", b"Cookie", b"TE", b"Keep-Alive", b"Range", b"Expect", b"Trailer", b"Upgrade"]),
    st.sampled_from([b"X-Forwarded-For", b"X_Tenant", b"Content-Type", b"Connection", b"Accept-Encoding", b"Via", b"Proxy"]),
    st.text(_TCHAR, min_size=1, max_size=6).map(lambda name: b"X-Made-" + name.encode()),
    st.binary(min_size=1, max_size=4).map(lambda name: b"X-Made-" + name.replace(b":", b"")),
)
_VALUES = st.tuples(
    st.sampled_from([b"", b" ", b"\t "]),
    st.one_of(_PLAIN, _octets(bytes([*range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=6), st.binary(max_size=6)),
    st.sampled_from([b"", b" ", b" \t"]),
).map(lambda parts: b"".join(parts).replace(b"\r\n", b""))
_PIECES = st.lists(
    st.one_of(st.binary(max_size=20), st.just(_SMUGGLED), st.sampled_from([b"0\r\n\r\n", b"\r\n\r\n", _Large(b"x" * 70_000)])),
    max_size=3,
)
_SMOOTH = st.just(b"")

made = st.builds(
    Made,
    method=_METHODS,
    target=_TARGETS,
    fields=st.lists(st.tuples(_NAMES, _VALUES), max_size=3).map(tuple),
    pieces=_PIECES.map(tuple),
    chunked=st.booleans(),
    extension=st.one_of(
        _SMOOTH, st.sampled_from([b";a", b";a=b", b';a="b;c"', b" ;a", b";", b";a\x00"]), st.just(b";" + b"e" * 500)
    ),
    trailers=st.one_of(
        _SMOOTH, st.sampled_from([b"X-T: v\r\n", b"Content-Length: 3\r\n", b"Host: b\r\n", b"X T: v\r\n", b"X-T\r\n"])
    ),
    odd_framing=st.one_of(st.just(()), st.just(()), st.just(()), st.sampled_from(FRAMINGS)),
)
plain = st.builds(
    Made,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
    target=_PLAIN.map(lambda rest: b"/made/x" + rest + b"?" + rest),
    fields=st.lists(st.tuples(st.just(b"X-Made"), _PLAIN.map(lambda value: b" x" + value)), max_size=2).map(tuple),
    pieces=_PIECES.map(tuple),
    chunked=st.booleans(),
    extension=st.sampled_from([b"", b";a=b"]),
    trailers=st.sampled_from([b"", b"X-T: v\r\n"]),
    odd_framing=st.just(()),
)

_DAMAGE = st.sampled_from(
    [b"", b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f", b"\x80", b"0", b"1", b"f"]
)


@dataclass(frozen=True)
class Harm:
    """At a place between 0 and 1 of the whole, `length` bytes are replaced by others."""

    place: float
    length: int
    by: bytes

    def to(self, whole: bytes) -> bytes:
        at = int(self.place * len(whole))
        return whole[:at] + self.by + whole[at + self.length :]


harms = st.lists(st.builds(Harm, st.floats(0, 1), st.integers(0, 2), _DAMAGE), min_size=1, max_size=3)
splits = st.lists(st.floats(0, 1), max_size=3)


def pieces_of(whole: bytes, places: list[float]) -> list[bytes]:
    """`whole`, parted at places between 0 and 1."""
    cuts = sorted({int(place * len(whole)) for place in places} | {0, len(whole)})
    return [whole[begin:end] for begin, end in pairwise(cuts)]
