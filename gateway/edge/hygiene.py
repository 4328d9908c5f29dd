"""What is refused about a request's head, before anything looks at what it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.errors import BAD_REQUEST, DUPLICATE_HEADER, HEADERS_TOO_LARGE, LOOKALIKE_HEADER, Refused
from gateway.pipeline.grammar import PLAIN, TOKEN

MAX_HEADER_BYTES = 32 << 10
MAX_HEADERS = 100

SECURITY_HEADERS = frozenset(
    {
        b"authorization",
        b"host",
        b"signature",
        b"signature-input",
        b"content-digest",
        b"x-admin-key",
        b"x-api-key",
        b"x-nonce",
        b"x-signature",
        b"x-tenant",
        b"x-tenant-id",
        b"x-tenant-ref",
        b"x-timestamp",
        b"x-widget-key",
    }
)
"""Headers that say who calls. Each occurs once, in this spelling, or the request is refused."""

# A list in one of these would be read as its first member by some and as its last by others.
_SINGLE_VALUED = frozenset({b"x-tenant", b"x-tenant-id", b"x-tenant-ref", b"x-api-key", b"x-widget-key"})
# Whoever took a look-alike of these for the real one would see another end of the request.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_MAX_NAMES, _LONGEST_NAME = 4096, 64
_LONGEST_HOST = 261  # RFC 1035, 2.3.4, and a port
_NOT_ASCII = re.compile(rb"[^\x20-\x7e]")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class HeaderRules:
    """`references`: headers that name a tenant beside the built-in ones, in lower case."""

    def __init__(self, references: frozenset[bytes] = frozenset()) -> None:
        self._security = SECURITY_HEADERS | references
        self._single_valued = _SINGLE_VALUED | references
        self._plain = self._security | _FRAMING
        self._skeletons = frozenset(_skeleton(name) for name in self._plain)
        self._names: dict[bytes, tuple[str, bool]] = {}

    def check(self, fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
        """`fields` as parsed, names in lower case. The headers by name, decoded as Latin-1; one that was sent several times is
        joined by commas (RFC 9110, 5.3). Raises Refused."""
        if len(fields) > MAX_HEADERS or sum([len(name) + len(value) + 4 for name, value in fields]) > MAX_HEADER_BYTES:
            raise Refused(HEADERS_TOO_LARGE, f"At most {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes are accepted.")
        headers: dict[str, str] = {}
        names = self._names
        for name, value in fields:
            text, is_security = names.get(name) or self._learn(name)
            if is_security:
                self._check_security(name, value, text in headers)
            decoded = value.decode("latin-1")
            headers[text] = f"{headers[text]}, {decoded}" if text in headers else decoded
        if b"".join([value for _, value in fields]).translate(None, PLAIN):
            raise Refused(BAD_REQUEST, "A header holds a control character.")
        return headers

    def _learn(self, name: bytes) -> tuple[str, bool]:
        """The name as text, and whether the header says who calls. Raises Refused; what is remembered of good names is
        bounded."""
        if TOKEN.fullmatch(name) is None:
            raise Refused(BAD_REQUEST, "The name of a header is not a token.")
        if name not in self._plain and _skeleton(name) in self._skeletons:
            raise Refused(LOOKALIKE_HEADER, f"{name.decode()} looks like another header that is read here.")
        learned = (name.decode("ascii"), name in self._security)
        if len(name) <= _LONGEST_NAME:
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()
            self._names[name] = learned
        return learned

    def _check_security(self, name: bytes, value: bytes, is_repeated: bool) -> None:
        if is_repeated or (name in self._single_valued and b"," in value):
            raise Refused(DUPLICATE_HEADER, f"{name.decode()} has more than one value.")
        if _NOT_ASCII.search(value):
            raise Refused(BAD_REQUEST, f"{name.decode()} holds a character outside of printable ASCII.")


def check_framing(fields: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The declared length of the body in bytes, 0 where there is none, None where it comes in chunks. Raises Refused."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Refused(BAD_REQUEST, "The body's length is given twice.")
    if codings:
        if codings[0].lower() != b"chunked":
            raise Refused(BAD_REQUEST, "Only the transfer coding `chunked` is accepted.")
        return None
    if not lengths:
        return 0
    if re.fullmatch(rb"0|[1-9][0-9]{0,17}", lengths[0]) is None:
        raise Refused(BAD_REQUEST, "Content-Length is not a plain decimal number.")
    return int(lengths[0])


@lru_cache(1024)
def host_of(value: str | None) -> str:
    """What `Host` says, in lower case. Raises Refused; it says one thing, as every security header."""
    if value is None or len(value) > _LONGEST_HOST or _HOST.fullmatch(value) is None or ".." in value:
        raise Refused(BAD_REQUEST, "A request has exactly one Host, a name or an address with an optional port.")
    return value.lower()


def origin_form(target: bytes, host: str) -> bytes:
    """The target as path and query. An absolute form is accepted where its authority is that of Host. Raises Refused."""
    if target.startswith(b"/"):
        return target
    scheme, separator, rest = target.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        authority, slash, path = rest.partition(b"/")
        if authority.decode("latin-1").lower() == host:
            return slash + path if slash else b"/"
    raise Refused(BAD_REQUEST, "The target is a path, or an absolute URL whose authority is the Host.")


def _skeleton(name: bytes) -> bytes:
    """What is left of a name when everything is dropped that a CGI-like reader would fold together."""
    return name.replace(b"_", b"-").replace(b".", b"-").lower()
