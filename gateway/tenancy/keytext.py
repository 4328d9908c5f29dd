"""The text of credentials: how it is made, and how a mistyped one is told without a look-up.

An API key is `tg_live_` + 33 base62 characters (192 random bits) + 6 base62 characters (CRC-32 of all before them).
The checksum catches typing and copying faults; it is no secret and proves nothing.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from zlib import crc32

from .credential import Environment

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_BITS, _KEY_LETTERS, _CHECK_LETTERS = 192, 33, 6
_KEY = re.compile(r"[a-z][a-z0-9]{0,11}_(?:live|test)_[0-9A-Za-z]{39}")
_WIDGET_KEY = re.compile(rf"pk_[0-9A-Za-z]{{{_KEY_LETTERS}}}")


def new_api_key(prefix: str, environment: Environment) -> str:
    text = f"{prefix}_{environment}_{_base62(secrets.randbits(_KEY_BITS), _KEY_LETTERS)}"
    return text + _checksum(text)


def is_api_key(prefix: str, text: str) -> bool:
    """Whether `text` has the form of a key with this prefix, checksum included."""
    if not text.startswith(prefix + "_") or _KEY.fullmatch(text) is None:
        return False
    return text[-_CHECK_LETTERS:] == _checksum(text[:-_CHECK_LETTERS])


def digest_of(key: str) -> str:
    """Lower-case hex SHA-256, the only form in which a key is stored. Keys are random, so no slow hash is needed."""
    return sha256(key.encode()).hexdigest()


def new_signing_secret() -> str:
    """256 random bits. The HMAC's key is this text as it stands, `sk_` included, in ASCII."""
    return "sk_" + _base62(secrets.randbits(256), 43)


def new_widget_key() -> str:
    return "pk_" + _base62(secrets.randbits(_KEY_BITS), _KEY_LETTERS)


def is_widget_key(text: str) -> bool:
    """Whether `text` has the form of a widget key. It has no checksum, being public and pasted, never typed."""
    return _WIDGET_KEY.fullmatch(text) is not None


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECK_LETTERS)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))
