"""The key that signs `X-Gateway-Identity`, where the operator gives none."""

from __future__ import annotations

from base64 import b64decode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def derived_signing_key(encryption_key: str) -> str:
    """PEM of the Ed25519 key that HKDF-SHA256 (RFC 5869) derives from the encryption key.

    So every gateway with the same encryption key signs with the same identity key, and none has to store or fetch it.
    """
    seed = HKDF(SHA256(), 32, salt=None, info=b"tenantgate identity key v1").derive(b64decode(encryption_key))
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
