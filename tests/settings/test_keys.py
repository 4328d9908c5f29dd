"""Keys must be strong enough and fit what they are for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .conftest import VALID, Load, Refused

_ED25519 = ed25519.Ed25519PrivateKey.generate()
_PRIVATE: dict[
    str, Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey]
]
_PRIVATE = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "p224": lambda: ec.generate_private_key(ec.SECP224R1()),
}


def _public(kind: str) -> str:
    return _PRIVATE[kind]().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _issuer(keys: str) -> str:
    return VALID.replace("      algorithms: [HS256]\n      secret: only-for-tests-only-for-tests-only\n", f"      {keys}\n")


@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [
        ("rsa", "RS256, PS512"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("ed25519", "EdDSA"),
        ("ed448", "EdDSA"),
    ],
)
def test_a_public_key_serves_its_own_algorithms(kind: str, algorithms: str, loaded: Load) -> None:
    loaded(_issuer(f"algorithms: [{algorithms}]\n      public_key: ${{PEM}}"), {"PEM": _public(kind)})


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "ES256"), ("p256", "ES384"), ("ed25519", "RS256")])
def test_a_public_key_serves_no_other_algorithm(kind: str, algorithm: str, refused: Refused) -> None:
    said = refused(_issuer(f"algorithms: [{algorithm}]\n      public_key: ${{PEM}}"), {"PEM": _public(kind)})
    assert f"found {algorithm}, expected an algorithm of the public key" in said


def test_other_keys_are_refused(refused: Refused) -> None:
    weird = dsa.generate_private_key(1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for pem in (_public("p224"), weird, _private(_ED25519), "-----BEGIN PUBLIC KEY-----", ""):
        said = refused(_issuer("algorithms: [EdDSA]\n      public_key: ${PEM}"), {"PEM": pem})
        assert "expected a public RSA, EC or Ed25519 key in PEM" in said


@pytest.mark.parametrize(("algorithm", "length"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_the_hash(algorithm: str, length: int, loaded: Load, refused: Refused) -> None:
    text = _issuer(f"algorithms: [{algorithm}]\n      secret: ${{SECRET}}")
    loaded(text, {"SECRET": "x" * length})
    assert f"at least {length} bytes" in refused(text, {"SECRET": "x" * (length - 1)})


def test_a_secret_of_several_algorithms_is_as_long_as_the_longest(refused: Refused) -> None:
    text = _issuer("algorithms: [HS256, HS512]\n      secret: ${SECRET}")
    assert "at least 64 bytes" in refused(text, {"SECRET": "x" * 63})


def test_a_key_set_in_a_file_must_be_there(tmp_path: Path, loaded: Load, refused: Refused) -> None:
    text = _issuer("algorithms: [RS256]\n      jwks_file: jwks.json")
    assert 'found "jwks.json", expected a file that is there' in refused(text)
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    loaded(text)


@pytest.mark.parametrize("key", [b"x" * 32])
def test_an_encryption_key_of_32_bytes_is_taken(key: bytes, loaded: Load) -> None:
    environ = {"TENANTGATE__SECRETS__ENCRYPTION_KEY": b64encode(key).decode()}
    environ["TENANTGATE__SECRETS__RETIRED_ENCRYPTION_KEYS"] = f'["{b64encode(key).decode()}"]'
    loaded(VALID, environ)


@pytest.mark.parametrize("key", [b64encode(b"x" * 31).decode(), b64encode(b"x" * 33).decode(), "x" * 32, "é" * 32, " "])
@pytest.mark.parametrize("where", ["ENCRYPTION_KEY", "RETIRED_ENCRYPTION_KEYS__0"])
def test_any_other_encryption_key_is_refused(key: str, where: str, refused: Refused) -> None:
    text = VALID.replace("secrets:\n", "secrets:\n  retired_encryption_keys: []\n")
    assert "expected 32 bytes in base64" in refused(text, {f"TENANTGATE__SECRETS__{where}": key})


def test_an_empty_retired_key_is_refused(refused: Refused) -> None:
    assert "32 bytes" in refused(VALID, {"TENANTGATE__SECRETS__RETIRED_ENCRYPTION_KEYS": '[""]'})


def test_an_identity_key_is_ed25519(loaded: Load, refused: Refused) -> None:
    variable = "TENANTGATE__SECRETS__IDENTITY_KEY"
    loaded(VALID, {variable: _private(_ED25519)})
    for pem in (_private(ec.generate_private_key(ec.SECP256R1())), _public("ed25519"), "x"):
        assert "expected an Ed25519 private key in PEM" in refused(VALID, {variable: pem})


@pytest.mark.parametrize("key", ["x" * 31, "x" * 31 + " ", "é" * 32, "x" * 32 + "\n"])
def test_a_weak_admin_key_is_refused(key: str, refused: Refused) -> None:
    assert "32 visible ASCII" in refused(VALID, {"TENANTGATE__SECRETS__ADMIN_KEYS__OPS": key})
