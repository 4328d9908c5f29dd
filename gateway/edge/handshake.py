"""The client's side of a WebSocket handshake (RFC 6455, 4.2.1), checked before the connection changes hands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from websockets.exceptions import InvalidHeader
from websockets.headers import parse_connection, parse_extension, parse_subprotocol, parse_upgrade

from gateway.errors import BAD_REQUEST, HEADERS_TOO_LARGE, Refused
from gateway.pipeline.grammar import TOKEN

from .head import Head
from .hygiene import MAX_HEADERS

# Read again by the library that takes over, which would answer in its own way to what it can't read.
_PARSERS: Mapping[bytes, Callable[[str], object]] = {
    b"connection": parse_connection,
    b"sec-websocket-extensions": parse_extension,
    b"sec-websocket-protocol": parse_subprotocol,
    b"upgrade": parse_upgrade,
}
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
# The longest line that the library which reads the handshake takes.
_MAX_LINE = 8190


def handshake_fault(head: Head) -> Refused | None:
    """Why the upgrade that `head` asks for can't come about."""
    try:
        check_handshake(head.method.encode("ascii"), "1.1" if head.current else "1.0", head.fields)
        # More is checked by the walk, when the library has read the handshake again: this much it can take.
        if not (head.target.startswith(b"/") and head.target.isascii() and len(head.target) <= _MAX_LINE - 16):
            raise Refused(BAD_REQUEST, "The target of a WebSocket handshake is a path, and not so long.")
        if len(head.fields) > MAX_HEADERS or any(TOKEN.fullmatch(name) is None for name, _ in head.fields):
            raise Refused(BAD_REQUEST, "A WebSocket handshake has fewer headers, whose names are tokens.")
    except Refused as refused:
        return refused
    return None


def check_handshake(method: bytes, version: str, fields: Iterable[tuple[bytes, bytes]]) -> None:
    """`fields` with names in lower case. Raises Refused where this is no handshake that can be accepted."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
        if len(name) + len(value) + 2 > _MAX_LINE:
            raise Refused(HEADERS_TOO_LARGE, f"A header of a WebSocket handshake has at most {_MAX_LINE} bytes.")
        _check_form(name, value)
    if method != b"GET" or version != "1.1":
        raise Refused(BAD_REQUEST, "A WebSocket handshake is a GET of HTTP/1.1.")
    if [value.lower() for value in values.get(b"upgrade", [])] != [b"websocket"]:
        raise Refused(BAD_REQUEST, "A WebSocket handshake asks for one upgrade.")
    if b"transfer-encoding" in values or values.get(b"content-length", [b"0"]) != [b"0"]:
        raise Refused(BAD_REQUEST, "A WebSocket handshake has no body.")
    if values.get(b"sec-websocket-version") != [b"13"]:
        raise Refused(BAD_REQUEST, "Only version 13 of WebSocket is spoken here.", headers=(("Sec-WebSocket-Version", "13"),))
    keys = values.get(b"sec-websocket-key", [])
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
        raise Refused(BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64.")


def _check_form(name: bytes, value: bytes) -> None:
    if name in _PARSERS:
        try:
            _PARSERS[name](value.decode("latin-1"))
        except InvalidHeader:
            raise Refused(BAD_REQUEST, f"{name.decode('ascii')} is not well formed.") from None
