"""The key that signs `X-Gateway-Identity`, where the operator gives none: made once, kept in the store, encrypted."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.store.connect import Store

from .cipher import Cipher

_NAME = "identity-key"


async def stored_identity_key(store: Store, cipher: Cipher) -> str:
    """PEM of an Ed25519 private key, the same for every gateway on this store.

    Raises Refused: STORE_UNAVAILABLE, or SECRETS_UNREADABLE where another encryption key sealed it.
    """
    key = store.keys.named(_NAME)
    fresh = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    await store.control.command("SET", key, cipher.encrypt(fresh, _NAME), "NX")
    kept = await store.control.command("GET", key)
    assert isinstance(kept, bytes)
    return cipher.decrypt(kept.decode(), _NAME).decode()
