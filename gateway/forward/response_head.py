"""The final head of a response, read strictly (RFC 9112, 4 to 6), and what follows from it.

An upstream sends the same head again and again within a second, so heads are remembered by their exact bytes, with all that was
worked out of them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gateway.pipeline.grammar import PLAIN_LINES, TOKEN
from gateway.pipeline.memo import Verdicts

from .headers import inbound

MAX_HEAD = 64 << 10
MAX_HEADERS = 200
MAX_REMEMBERED = 1 << 10
"""Bytes of a head that is remembered."""
REMEMBERED = 1024
"""Heads that are remembered at a time."""

_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_STATUS = re.compile(rb"[1-5][0-9]{2}")
_LONGEST_LENGTH = 18  # digits
_LONGEST_UNITS = 9  # digits
_NO_VERSION = "not HTTP/1.1 or HTTP/1.0"
_BARE = "a bare line feed or a NUL in the head"


class InvalidResponse(Exception):
    """The upstream's bytes are not one well-formed response. The text says why and quotes nothing of them."""


@dataclass(frozen=True)
class ResponseHead:
    """It knows nothing of its request: what is said of the body holds unless HEAD was asked, which is answered without one.

    `headers` are in order, names in lower case, framing and hop-by-hop headers included. `length`: bytes of the body, None
    where only its end tells. `chunked`: its last chunk does. `persistent`: the upstream means the connection to go on.
    `usage_units`: what it says that the request has used, in `X-Usage-Units`, a whole number of at most nine digits; None where
    it says nothing that can be read so.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    length: int | None
    chunked: bool
    persistent: bool
    usage_units: int | None

    @cached_property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers that the client is given."""
        fields = inbound(self.headers)
        if self.status == 204:  # RFC 9110, 8.6
            return tuple((name, value) for name, value in fields if name != b"content-length")
        return tuple(fields)

    @cached_property
    def names(self) -> frozenset[bytes]:
        """Of `fields`."""
        return frozenset(name for name, _ in self.fields)

    @cached_property
    def rendered(self) -> bytes:
        """`fields` as lines, each with its end."""
        return b"".join([b"%b: %b\r\n" % pair for pair in self.fields])


_heads: OrderedDict[bytes, ResponseHead] = OrderedDict()
remembered = _heads.get
"""What is remembered of a head by its bytes, blank line included, or None."""


def read_response_head(head: bytes) -> ResponseHead:
    """`head` with its blank line; an interim one (1xx) too, which has no framing. Raises InvalidResponse."""
    known = remembered(head)
    if known is None:
        known = _read(head)
        if len(head) <= MAX_REMEMBERED and known.status >= 200 and not _may_hold_secrets(known):
            if len(_heads) >= REMEMBERED:
                _heads.popitem(last=False)
            _heads[head] = known
    return known


def check_beginning(data: bytes) -> None:
    """`data` is a head, or its beginning. Raises InvalidResponse as early as that can be known."""
    if not data.startswith(_VERSIONS) and (len(data) > 8 or not _VERSIONS[0].startswith(data[:7])):
        raise InvalidResponse(_NO_VERSION)
    if len(data) > MAX_HEAD:
        raise InvalidResponse(f"a head of more than {MAX_HEAD} bytes")
    if data.count(b"\n") != data.count(b"\r\n") or b"\0" in data:
        raise InvalidResponse(_BARE)


def _read(head: bytes) -> ResponseHead:
    """RFC 9112, 4 and 5."""
    if not head.startswith(_VERSIONS):
        raise InvalidResponse(_NO_VERSION)
    line, *lines = head[:-4].split(b"\r\n")
    ends, words = len(lines) + 2, line.split(b" ", 2)
    if head.count(b"\n") != ends:
        raise InvalidResponse(_BARE)
    if len(words) < 2 or _STATUS.fullmatch(words[1]) is None or head.count(b"\r") != ends or head.translate(None, PLAIN_LINES):
        raise InvalidResponse("the status line is not well formed, or there is a control character in the head")
    status = int(words[1])
    if status == 101:
        raise InvalidResponse("status 101 answers nothing that was asked")
    if len(lines) > MAX_HEADERS:
        raise InvalidResponse(f"more than {MAX_HEADERS} headers")
    headers: list[tuple[bytes, bytes]] = []
    told: dict[bytes, list[bytes]] = {}
    for text in lines:
        name, colon, value = text.partition(b":")
        if not colon or not _IS_TOKEN[name]:
            raise InvalidResponse("a header is folded, or its name is not a token")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        if name in _FOR_US:
            told.setdefault(name, []).append(value)
    return _framed(status, tuple(headers), told, is_current=head.startswith(b"HTTP/1.1"))


def _framed(
    status: int, headers: Sequence[tuple[bytes, bytes]], told: Mapping[bytes, Sequence[bytes]], *, is_current: bool
) -> ResponseHead:
    """Where the body ends (RFC 9112, 6.3), and whether the connection goes on after it (9.3)."""
    if status < 200:
        return ResponseHead(status, headers, 0, chunked=False, persistent=True, usage_units=None)
    lengths, codings = told.get(b"content-length", ()), told.get(b"transfer-encoding", ())
    if len(lengths) + len(codings) > 1:
        raise InvalidResponse("the body's length is given twice")
    if codings and (not is_current or codings[0].lower() != b"chunked"):
        raise InvalidResponse("a transfer coding other than chunked")
    if lengths and (not lengths[0].isdigit() or len(lengths[0]) > _LONGEST_LENGTH):
        raise InvalidResponse("Content-Length is not a plain number")
    bodiless = status in (204, 304)
    options = map(bytes.strip, b",".join(told.get(b"connection", ())).lower().split(b","))
    units = told.get(b"x-usage-units", ())
    return ResponseHead(
        status,
        headers,
        0 if bodiless else int(lengths[0]) if lengths else None,
        chunked=bool(codings) and not bodiless,
        persistent=is_current and b"close" not in options,
        usage_units=int(units[0]) if len(units) == 1 and units[0].isdigit() and len(units[0]) <= _LONGEST_UNITS else None,
    )


def _may_hold_secrets(head: ResponseHead) -> bool:
    return any(map(_MAY_BE_SECRET.__getitem__, [name for name, _ in head.headers]))


_FOR_US = frozenset({b"connection", b"content-length", b"transfer-encoding", b"x-usage-units"})
_IS_TOKEN = Verdicts(lambda name: TOKEN.fullmatch(name) is not None)
# Names of headers that may hold what lets somebody act as somebody else, a link that lets whoever has it in among them. No head
# with such a header outlives its answer. To take too many for secret costs time only.
_SECRET = re.compile(rb"auth|cookie|credential|csrf|key|link|location|nonce|passw|refresh|secret|session|signature|token|xsrf")
_MAY_BE_SECRET = Verdicts(lambda name: _SECRET.search(name) is not None)
