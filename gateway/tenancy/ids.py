"""Identifiers: UUIDv7, written as a plain UUID or as a TypeID (`tnt_…`).

TypeID: https://github.com/jetify-com/typeid/tree/main/spec (v0.3): prefix, underscore, 26 characters of Crockford base32.
"""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

import uuid_utils

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_SUFFIX = 26


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562, 5.7): sorts by creation time."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


@lru_cache(10_000)
def typeid(prefix: str, value: UUID) -> str:
    """Write `value` as a TypeID with `prefix`, such as `tnt_01h455vb4pex5vsknk084sn02q`."""
    number = value.int
    letters = [_ALPHABET[(number >> shift) & 31] for shift in range(5 * (_SUFFIX - 1), -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def parse_id(prefix: str, text: str) -> UUID | None:
    """Read either form; None where `text` is neither. Only the canonical spelling of each form is accepted."""
    if text.startswith(prefix + "_"):
        return _parse_suffix(text[len(prefix) + 1 :])
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def _parse_suffix(suffix: str) -> UUID | None:
    # 26 letters hold 130 bits: the first letter may only carry three.
    if len(suffix) != _SUFFIX or suffix[0] > "7":
        return None
    number = 0
    for letter in suffix:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return UUID(int=number)
