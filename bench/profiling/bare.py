"""The cryptography alone, as the library does it: what no gateway can do without."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bench.peers.credentials import Keys

# About as long as what is signed of an identity token.
_MESSAGE = b"x" * 500

Bare = Callable[[str], object]


def bare_hs256(keys: Keys) -> Bare:
    """Verifies a token."""
    secret = keys.secret.encode()

    def verify(token: str) -> bool:
        signed, signature = _parted(token)
        return hmac.compare_digest(hmac.digest(secret, signed, "sha256"), signature)

    return verify


def bare_rs256(keys: Keys) -> Bare:
    """Verifies a token. Raises InvalidSignature."""
    key = load_pem_public_key(keys.public_pem.encode())
    assert isinstance(key, RSAPublicKey)
    padding, algorithm = PKCS1v15(), SHA256()

    def verify(token: str) -> None:
        signed, signature = _parted(token)
        key.verify(signature, signed, padding, algorithm)

    return verify


def bare_signature() -> Callable[[object], bytes]:
    """Signs as much as an identity token has, whatever it is given."""
    key = Ed25519PrivateKey.generate()
    return lambda _: key.sign(_MESSAGE)


def _parted(token: str) -> tuple[bytes, bytes]:
    signed, _, signature = token.encode().rpartition(b".")
    return signed, urlsafe_b64decode(signature + b"==")
