"""Keys that were checked: what is left may verify signatures under the algorithms of its issuer, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

MAX_KEYS = 64
_MIN_RSA_BITS = 2048

# RFC 7518, 3.1 and RFC 8037, 3.1: the type and the curve of the keys that an algorithm takes.
_FORMS: dict[str, tuple[str, str | None]] = {
    **{f"{family}{size}": ("RSA", None) for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
# RFC 7518, 3.2: an HMAC key is at least as long as the hash. In bytes.
_MIN_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}

Jwk = dict[str, object]


class KeyFault(ValueError):
    """A key, or a set of them, that is not fit for use. The message never holds key material."""


@dataclass(frozen=True)
class KeyRing:
    """Each key stands in `keys` once for every algorithm that it may be used with.

    `named`: keys are told apart by `kid`. A lone secret or PEM has no name, and serves for any `kid`.
    `ignored` says which keys of a set were left out, and why.
    """

    keys: tuple[PyJWK, ...]
    named: bool = True
    ignored: tuple[str, ...] = ()
    generation: ClassVar[int] = 0
    _index: dict[tuple[str | None, str], tuple[PyJWK, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index: dict[tuple[str | None, str], tuple[PyJWK, ...]] = {}
        for key in self.keys:
            for kid in {None, key.key_id}:
                place = (kid, key.algorithm_name)
                index[place] = (*index.get(place, ()), key)
        object.__setattr__(self, "_index", index)

    def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
        return self._index.get((kid if self.named else None, algorithm), ())


def ring_of_secret(secret: str, algorithms: Iterable[str]) -> KeyRing:
    """Raises KeyFault."""
    raw = secret.encode()
    try:
        # Recognises PEM, DER, SSH keys and JWKs, so that no published key is ever taken for a secret.
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(raw)
    except InvalidKeyError:
        raise KeyFault("`secret` is empty, or a key of another kind than a secret") from None
    for algorithm in algorithms:
        if algorithm not in _MIN_SECRET:
            raise KeyFault(f"`secret` is for HS256, HS384 and HS512 only, not for {algorithm}")
        if len(raw) < _MIN_SECRET[algorithm]:
            raise KeyFault(f"`secret` must have at least {_MIN_SECRET[algorithm]} bytes for {algorithm} (RFC 7518, 3.2)")
    jwk = HMACAlgorithm.to_jwk(raw, as_dict=True)
    return KeyRing(tuple(PyJWK(jwk, algorithm) for algorithm in algorithms), named=False)


def ring_of_pem(pem: str, algorithms: Iterable[str]) -> KeyRing:
    """Raises KeyFault. Each algorithm must be one that the key can be used with."""
    jwk = _jwk_of_pem(pem)
    keys: list[PyJWK] = []
    for algorithm in algorithms:
        try:
            keys.extend(_usable(jwk, {algorithm}))
        except KeyFault as fault:
            raise KeyFault(f"`public_key` does not serve for {algorithm}: {fault}") from None
    return KeyRing(tuple(keys), named=False)


def ring_of_set(raw: bytes, algorithms: Collection[str]) -> KeyRing:
    """A JSON Web Key Set (RFC 7517, 5). Raises KeyFault where it is none, a `kid` stands in it twice, or no key is fit for use.

    A single unfit key is left out, since issuers publish their encryption keys in the same set.
    """
    keys: list[PyJWK] = []
    ignored = []
    for number, entry in enumerate(_entries(raw)):
        try:
            keys.extend(_usable(entry, algorithms))
        except KeyFault as fault:
            ignored.append(f"key {number} ({str(entry.get('kid'))[:64]!r}): {fault}")
    if not keys:
        raise KeyFault(f"no key of the set serves for {', '.join(sorted(algorithms))}: {'; '.join(ignored) or 'it is empty'}")
    return KeyRing(tuple(keys), ignored=tuple(ignored))


def _entries(raw: bytes) -> list[Jwk]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise KeyFault("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KeyFault("it is not a JSON Web Key Set: an object with a list `keys` of objects")
    if len(entries) > MAX_KEYS:
        raise KeyFault(f"it holds {len(entries)} keys; at most {MAX_KEYS} are accepted")
    kids = [entry["kid"] for entry in entries if "kid" in entry]
    if not all(isinstance(kid, str) for kid in kids):
        raise KeyFault("a `kid` in it is not text")
    if len(set(kids)) != len(kids):
        raise KeyFault("a `kid` stands in it twice")
    return entries


def _usable(jwk: Jwk, algorithms: Collection[str]) -> list[PyJWK]:
    """The key, for each of the algorithms that it may be used with. Raises KeyFault where there is none."""
    operations = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or not (operations is None or (isinstance(operations, list) and "verify" in operations)):
        raise KeyFault("it is not meant for signatures (`use`, `key_ops`)")
    if jwk.get("kty") == "oct" or "d" in jwk:
        raise KeyFault("it is a secret or private key, which nobody may publish")
    form = (jwk.get("kty"), None if jwk.get("kty") == "RSA" else jwk.get("crv"))
    fitting = [name for name in algorithms if _FORMS.get(name) == form and jwk.get("alg", name) == name]
    if not fitting:
        raise KeyFault("type, curve or `alg` fit none of the issuer's algorithms")
    return [_loaded(jwk, algorithm) for algorithm in fitting]


def _loaded(jwk: Jwk, algorithm: str) -> PyJWK:
    try:
        key = PyJWK(jwk, algorithm)
    except Exception:
        # Whatever a library finds wrong with somebody else's key, and its message may quote the key.
        raise KeyFault("it is not a well-formed key") from None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        raise KeyFault(f"an RSA key needs at least {_MIN_RSA_BITS} bits (RFC 7518, 3.3)")
    return key


def _jwk_of_pem(pem: str) -> Jwk:
    try:
        key = load_pem_public_key(pem.encode())
        if isinstance(key, RSAPublicKey):
            return RSAAlgorithm.to_jwk(key, as_dict=True)
        if isinstance(key, EllipticCurvePublicKey):
            return ECAlgorithm.to_jwk(key, as_dict=True)
        if isinstance(key, Ed25519PublicKey):
            return OKPAlgorithm.to_jwk(key, as_dict=True)
    except (ValueError, UnsupportedAlgorithm, InvalidKeyError):
        pass
    raise KeyFault("`public_key` is not a public RSA, EC or Ed25519 key in PEM (`-----BEGIN PUBLIC KEY-----`)")
