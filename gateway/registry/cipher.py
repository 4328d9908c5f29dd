"""Encryption of what must be read again: AES-256-GCM (NIST SP 800-38D), with the id of the key beside the text."""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import SECRETS_UNREADABLE, Refused

_KEY_BYTES, _NONCE_BYTES = 32, 12


class Cipher:
    """Encrypts with the present key, decrypts with that or a retired one. Keys are 32 bytes in base64; raises ValueError."""

    def __init__(self, key: str, retired: Iterable[str] = ()) -> None:
        present = _read_key(key)
        self.key_id = _id_of(present)
        self._keys = {_id_of(secret): AESGCM(secret) for secret in (present, *map(_read_key, retired))}

    def encrypt(self, plain: bytes, context: str) -> str:
        """`context` is authenticated: the text can't be moved to where another context is expected."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._keys[self.key_id].encrypt(nonce, plain, context.encode())
        return f"{self.key_id}.{b64encode(sealed).decode()}"

    def decrypt(self, text: str, context: str) -> bytes:
        """Raises Refused(SECRETS_UNREADABLE) where the key is not configured or the text is not what was stored."""
        key_id, _, encoded = text.partition(".")
        key = self._keys.get(key_id)
        if key is None:
            raise Refused(SECRETS_UNREADABLE, f"The encryption key with id {key_id} is not configured.", retry_after=60)
        try:
            sealed = b64decode(encoded, validate=True)
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise Refused(SECRETS_UNREADABLE, "A stored secret does not decrypt.", retry_after=60) from error

    def is_current(self, text: str) -> bool:
        """Whether `text` is encrypted with the present key."""
        return text.startswith(self.key_id + ".")


def _read_key(text: str) -> bytes:
    try:
        key = b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError("an encryption key is 32 bytes in base64, such as `openssl rand -base64 32` prints")
    return key


def _id_of(key: bytes) -> str:
    return sha256(b"tenantgate encryption key id" + key).hexdigest()[:12]
