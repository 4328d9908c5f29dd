"""Tokens, good and bad, and the keys that sign them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import AllowedPrivateKeys, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from gateway.pipeline.request import InboundRequest

NOW = 1_775_000_000.0
SECRET = "0123456789abcdef0123456789abcdef-a-secret-that-serves-for-every-hash"
ALGORITHMS = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@cache
def _rsa_key(number: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key that signs for every RS* and PS*; another one for each `number`."""
    return _rsa_key(number, bits)


def key_for(algorithm: str, number: int = 0) -> AllowedPrivateKeys | bytes:
    """A signing key for `algorithm`; another one for each `number`."""
    return _key_for(algorithm, number)


@cache
def _key_for(algorithm: str, number: int) -> AllowedPrivateKeys | bytes:
    if algorithm.startswith("HS"):
        return SECRET.encode() if number == 0 else f"{number}{SECRET}".encode()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa_key(number)


def pem(key: AllowedPrivateKeys) -> str:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: AllowedPrivateKeys, kid: str | None = None, **members: object) -> dict[str, object]:
    """The public half, as it stands in a set."""
    match key:
        case rsa.RSAPrivateKey():
            public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, **({} if kid is None else {"kid": kid}), **members}


def key_set(*keys: dict[str, object]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def encoded(value: object) -> bytes:
    """JSON, unless it is bytes already."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def claims(**changes: object) -> dict[str, object]:
    """Those of a good token; None removes one."""
    good = {"sub": "ann", "tenant": "acme", "iat": NOW - 60, "exp": NOW + 600}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(payload: object, algorithm: str = "HS256", key: AllowedPrivateKeys | bytes | None = None, **header: object) -> str:
    """A token with a signature that holds, whatever it says. `payload`: an object, or the bytes that stand for it."""
    return sign_raw({"alg": algorithm, **header}, payload, algorithm, key)


def sign_raw(header: object, payload: object, algorithm: str, key: AllowedPrivateKeys | bytes | None = None) -> str:
    signed = f"{b64(encoded(header))}.{b64(encoded(payload))}"
    signature = get_default_algorithms()[algorithm].sign(signed.encode(), key_for(algorithm) if key is None else key)
    return f"{signed}.{b64(signature)}"


def request(authorization: str | None, at: float = NOW) -> InboundRequest:
    fields = () if authorization is None else ((b"authorization", authorization.encode("latin-1")),)
    return InboundRequest("GET", b"/", "api.test", fields, "192.0.2.1", "https", "r-1", at)
