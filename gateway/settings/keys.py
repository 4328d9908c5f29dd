"""Keys and secrets that must be strong enough, and fit what they are for."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from .document import Document
from .fault import KeyPath
from .schema import IssuerSettings, Secrets

_SOURCES = ("secret", "public_key", "jwks_file", "jwks_url")
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_ADMIN_KEY = re.compile(r"[!-~]{32,}")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def check_secrets(document: Document, path: KeyPath, secrets: Secrets) -> None:
    encryption = {("encryption_key",): secrets.encryption_key.get_secret_value()} | {
        ("retired_encryption_keys", index): key.get_secret_value() for index, key in enumerate(secrets.retired_encryption_keys)
    }
    for way, key in encryption.items():
        if not _is_key(key) and (key or way != ("encryption_key",)):
            hint = "Make one: openssl rand -base64 32"
            document.refuse((*path, *way), "a key of another form", "32 bytes in base64", hint)
    for name, admin_key in secrets.admin_keys.items():
        if _ADMIN_KEY.fullmatch(admin_key.get_secret_value()) is None:
            hint = "Make one: openssl rand -hex 32"
            document.refuse((*path, "admin_keys", name), "a weak key", "at least 32 visible ASCII characters", hint)
    identity = secrets.identity_key.get_secret_value()
    if identity and not _is_ed25519(identity):
        hint = "Make one: openssl genpkey -algorithm ed25519"
        document.refuse((*path, "identity_key"), "a key of another form", "an Ed25519 private key in PEM", hint)


def check_issuer(document: Document, path: KeyPath, issuer: IssuerSettings) -> None:
    symmetric = [name for name in issuer.algorithms if name in _HASH_BYTES]
    sources = [source for source in _SOURCES if getattr(issuer, source) is not None]
    if symmetric and len(symmetric) < len(issuer.algorithms):
        hint = "A public key must never be taken for a secret; declare two issuers."
        document.refuse((*path, "algorithms"), "HS* beside asymmetric algorithms", "one kind of them", hint)
    elif len(sources) != 1:
        document.refuse(path, " and ".join(sources) or "no key", f"exactly one of {', '.join(_SOURCES)}", at_key=True)
    elif symmetric and issuer.secret is None:
        document.refuse((*path, sources[0]), f"{sources[0]} for {symmetric[0]}", "secret, which is what HS* verify with")
    elif not symmetric and issuer.secret is not None:
        document.refuse((*path, "secret"), f"a secret for {issuer.algorithms[0]}", "public_key, jwks_file or jwks_url")
    else:
        _check_source(document, path, issuer)


def _check_source(document: Document, path: KeyPath, issuer: IssuerSettings) -> None:
    if issuer.secret is not None:
        secret = issuer.secret.get_secret_value()
        needed = max(_HASH_BYTES[name] for name in issuer.algorithms)
        if secret.lstrip().startswith("-----BEGIN"):
            document.refuse((*path, "secret"), "a key in PEM", "a shared secret", "A public key must never be taken for one.")
        elif len(secret.encode()) < needed:
            hint = f"Make one: openssl rand -base64 {needed}"
            document.refuse((*path, "secret"), "a short secret", f"at least {needed} bytes (RFC 7518, 3.2)", hint)
    elif issuer.public_key is not None:
        usable = _algorithms_of(issuer.public_key)
        for index, algorithm in enumerate(issuer.algorithms):
            if algorithm not in usable:
                expected = f"an algorithm of the public key ({', '.join(usable)})"
                document.refuse((*path, "algorithms", index), algorithm, expected) if usable else None
        if not usable:
            document.refuse((*path, "public_key"), "a key of another form", "a public RSA, EC or Ed25519 key in PEM")
    elif issuer.jwks_file is not None and not issuer.jwks_file.is_file():
        at = (*path, "jwks_file")
        document.refuse(at, document.show(at, str(issuer.jwks_file)), "a file that is there")


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 32
    except (NotBase64, ValueError):
        return False


def _is_ed25519(pem: str) -> bool:
    try:
        return isinstance(load_pem_private_key(pem.encode(), password=None), Ed25519PrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _algorithms_of(pem: str) -> tuple[str, ...]:
    """Algorithms that the public key can verify (RFC 7518, 3.1; RFC 8037); none where it is no such key."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return ()
    match key:
        case RSAPublicKey():
            return ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
        case EllipticCurvePublicKey():
            return (_CURVES[key.curve.name],) if key.curve.name in _CURVES else ()
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
        case _:
            return ()
