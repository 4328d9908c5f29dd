"""The form of a token: compact JWS (RFC 7515, 7.1), read so strictly that no two readers could read two tokens."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from gateway.errors import TOKEN_INVALID, TOKEN_MALFORMED, Problem, Refused

CHALLENGE = 'Bearer realm="tenantgate"'

_MAX_TOKEN = 8 << 10
# JSON cannot be nested deeper than it has opening brackets; this many is far from what any parser's stack can't take.
_MAX_BRACKETS = 400
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
# RFC 8725, 3.11: a token of another purpose (refresh, logout, our own identity tokens) has another `typ`.
_ACCESS_TYPES = frozenset({"jwt", "at+jwt"})


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS (RFC 7515, 7.1) of which nothing is proved yet."""

    algorithm: str
    key_id: str | None
    payload: Mapping[str, object]
    signed: bytes
    signature: bytes


def parse(text: str) -> Token:
    """Raises Refused: TOKEN_MALFORMED where it is no JWT, TOKEN_INVALID where its header asks for what we don't do."""
    match = _COMPACT.fullmatch(text) if len(text) <= _MAX_TOKEN else None
    if match is None:
        refuse(TOKEN_MALFORMED, "A token is three parts of base64url, parted by dots, of at most 8 KiB together.")
    algorithm, key_id = _header(match[1])
    payload = _json_object(_decoded(match[2]))
    return Token(algorithm, key_id, payload, text[: match.end(2)].encode("ascii"), _decoded(match[3]))


@lru_cache(256)
def _header(part: str) -> tuple[str, str | None]:
    """Algorithm and key id. An issuer's tokens have one header as long as they have one key."""
    header = _json_object(_decoded(part))
    if "crit" in header or "b64" in header:
        refuse(TOKEN_INVALID, "The token's header uses an extension that is not supported.")
    typ = header.get("typ", "jwt")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _ACCESS_TYPES:
        refuse(TOKEN_INVALID, "The token's `typ` is not that of an access token.")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not (key_id is None or isinstance(key_id, str)):
        refuse(TOKEN_INVALID, "The token's header needs `alg`, and `kid` is text.")
    return algorithm, key_id


def _decoded(part: str) -> bytes:
    """Only the one spelling that base64url has for these bytes: a token is not to be had in several forms."""
    try:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except NotBase64:
        decoded = b""
    if urlsafe_b64encode(decoded).rstrip(b"=") != part.encode("ascii"):
        refuse(TOKEN_MALFORMED, "A part of the token is not base64url.")
    return decoded


def _json_object(raw: bytes) -> dict[str, object]:
    """Strict JSON (RFC 8259) in UTF-8: no byte order mark, no NaN, no name twice, or two readers would read two tokens."""
    value: object = None
    if raw.count(b"{") + raw.count(b"[") <= _MAX_BRACKETS:
        try:
            value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        refuse(TOKEN_MALFORMED, "Header and payload of a token are JSON objects in UTF-8, without a name twice.")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def refuse(problem: Problem, detail: str = "") -> NoReturn:
    """Raises Refused, with the challenge of RFC 6750, 3."""
    raise Refused(problem, detail, headers=(("WWW-Authenticate", f'{CHALLENGE}, error="invalid_token"'),))
