"""Spellings of a target that two readers could understand differently. They are refused, never repaired."""

from __future__ import annotations

import re

from gateway.errors import BAD_PATH, BAD_REQUEST, TARGET_TOO_LONG, Refused

MAX_TARGET = 8 << 10

# RFC 3986, 3.3 and 3.4: what may stand in a path or a query without being encoded. `;` is left out of paths: some servers cut
# it off with what follows, so that `/a;x=/../b` is two different paths.
_PATH = re.compile(rb"/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}^`\"<>\\]|%[0-9A-Fa-f]{2})*")
_ENCODED_SLASH = re.compile("%2f|%5c", re.IGNORECASE)
_ENCODED_DOT = re.compile(rb"%2e", re.IGNORECASE)
# Control characters, and overlong or impossible UTF-8 (RFC 3629, 3), with which `/` and `.` have been smuggled.
_ENCODED_DANGER = re.compile(rb"%(?:[01][0-9a-f]|7f|c0|c1|e0%[89][0-9a-f]|f0%8[0-9a-f]|f[5-9a-f])", re.IGNORECASE)


def check_target(target: bytes) -> None:
    """`target` in origin-form. Raises Refused: BAD_PATH, BAD_REQUEST or TARGET_TOO_LONG."""
    if len(target) > MAX_TARGET:
        raise Refused(TARGET_TOO_LONG, f"The target has {len(target)} bytes; {MAX_TARGET} are accepted.")
    path, _, query = target.partition(b"?")
    if _PATH.fullmatch(path) is None:
        raise Refused(BAD_PATH, "The path holds a character that must be encoded, or a broken escape.")
    if b"%" in path:
        if _ENCODED_DANGER.search(path):
            raise Refused(BAD_PATH, "The path holds an encoded control character or overlong UTF-8.")
        path = _ENCODED_DOT.sub(b".", path)
    segments = path.split(b"/")
    if b"." in segments or b".." in segments:
        raise Refused(BAD_PATH, "The path holds a dot segment.")
    if b"" in segments[1:-1]:
        raise Refused(BAD_PATH, "The path holds a doubled slash.")
    if query and _QUERY.fullmatch(query) is None:
        raise Refused(BAD_REQUEST, "The query holds a character that must be encoded, or a broken escape.")


def has_encoded_slash(path: str) -> bool:
    return _ENCODED_SLASH.search(path) is not None
