"""Forged signatures: the classes of the published test vectors for JSON Web Signatures, made anew with keys of our own."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import count

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt import PyJWK

from gateway.errors import TOKEN_INVALID, TOKEN_MALFORMED, Problem, Refused
from gateway.identity.keyring import ring_of_pem, ring_of_secret, ring_of_set
from gateway.pipeline.claim import KeysNeeded
from gateway.pipeline.issuer import Issuer, KeySet
from gateway.pipeline.policy import Setup
from policies.jwt_bearer import JwtBearer
from tests.identity.forge import (
    ALGORITHMS,
    SECRET,
    b64,
    claims,
    encoded,
    jwk,
    key_for,
    key_set,
    pem,
    request,
    rsa_key,
    sign,
    sign_raw,
)

ASYMMETRIC = tuple(name for name in ALGORITHMS if not name.startswith("HS"))


@cache
def keys_of(algorithm: str) -> KeySet:
    if algorithm.startswith("HS"):
        return ring_of_secret(SECRET, [algorithm])
    return ring_of_set(key_set(jwk(key_for(algorithm), "k-1")), {algorithm})


def policy(algorithm: str, keys: KeySet | None = None) -> JwtBearer:
    issuer = Issuer("own", frozenset({algorithm}), keys_of(algorithm) if keys is None else keys)
    return JwtBearer(JwtBearer.Config(issuers=("own",)), Setup("r", {"own": issuer}))


def verdict(token: str, algorithm: str, keys: KeySet | None = None) -> Problem | None:
    """None: accepted."""
    try:
        policy(algorithm, keys).authenticate(request(f"Bearer {token}"))
    except Refused as refused:
        return refused.problem
    return None


def forged(algorithm: str, signer: Callable[[bytes], bytes], **header: object) -> str:
    signed = f"{b64(encoded({'alg': algorithm, **header}))}.{b64(encoded(claims()))}"
    return f"{signed}.{b64(signer(signed.encode()))}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_signature_of_every_algorithm_is_accepted(algorithm: str) -> None:
    assert verdict(sign(claims(), algorithm), algorithm) is None
    assert verdict(sign(claims(), algorithm, kid="k-1"), algorithm) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_was_changed_in_any_part_is_refused(algorithm: str) -> None:
    token = sign(claims(), algorithm, kid="k-1")
    header, payload, signature = token.split(".")
    other = sign(claims(tenant="globex"), algorithm, key_for(algorithm, 1), kid="k-1").split(".")
    raw = urlsafe_b64decode(signature + "==")
    signatures = (raw[:-1] + bytes([raw[-1] ^ 1]), bytes([raw[0] ^ 128]) + raw[1:], raw[:-1], raw[1:], raw + b"\0", b"\0" + raw)
    changed = {
        *(f"{header}.{payload}.{b64(other)}" for other in (*signatures, bytes(len(raw)), b"\xff" * len(raw), raw + raw)),
        f"{header}.{other[1]}.{signature}",
        f"{b64(encoded({'alg': algorithm, 'kid': 'k-1', 'x': 1}))}.{payload}.{signature}",
        f"{header}.{payload}.{other[2]}",
        ".".join(other),
        f"{header}.{payload}.",
    }
    assert {verdict(token, algorithm) for token in changed} == {TOKEN_INVALID}


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "PS384", "PS512"])
def test_an_rsa_signature_without_its_leading_zeros_is_refused(algorithm: str) -> None:
    token = next(token for token in tokens_of(algorithm) if signature_of(token)[0] == 0)
    assert verdict(token, algorithm) is None
    assert verdict(f"{token.rpartition('.')[0]}.{b64(signature_of(token)[1:])}", algorithm) == TOKEN_INVALID


def tokens_of(algorithm: str) -> Iterator[str]:
    return (sign({**claims(), "jti": str(number)}, algorithm, kid="k-1") for number in count())


def signature_of(token: str) -> bytes:
    return urlsafe_b64decode(token.rpartition(".")[2] + "==")


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
def test_a_token_in_any_other_form_is_malformed(algorithm: str) -> None:
    token = sign(claims(), algorithm, kid="k-1")
    header, payload, signature = token.split(".")
    spoilt = {
        f"{header}.{payload}",
        f"{header}..{signature}",
        f"{header}.{signature}",
        f".{payload}.{signature}",
        f"{payload}.{signature}",
        f".{payload}.",
        payload,
        f"{token}.",
        f"{token}.{signature}",
        f".{token}",
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}==.{signature}",
        f"{header}.{payload}.{signature}=",
        f"{header}####.{payload}.{signature}",
        f"{header}?.{payload}.{signature}",
        f"{header}. {payload}.{signature}",
        f"{header}.{payload}.{signature}\t",
        f"{header}.{payload}.{signature[:10]}+{signature[11:]}",
        f"{header}.{payload}.{signature[:10]}/{signature[11:]}",
        f"{header}.{payload}A.{signature}"
        if len(payload) % 4 == 0
        else f"{header}.{payload}{'A' * (5 - len(payload) % 4)}.{signature}",
        json.dumps({"protected": header, "payload": payload, "signature": signature}),
        json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}),
    }
    assert {verdict(token, algorithm) for token in spoilt} == {TOKEN_MALFORMED}


def test_a_second_spelling_of_the_same_signature_is_malformed() -> None:
    token = sign(claims(), "HS256")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 bytes end in a letter of which two bits are unused.
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    assert verdict(twin, "HS256") is TOKEN_MALFORMED


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "RSA-OAEP", "ES256K"])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_no_algorithm_but_the_issuers_is_accepted(name: str, algorithm: str) -> None:
    header, payload, signature = sign(claims(), algorithm).split(".")
    header = b64(encoded({"alg": name}))
    assert verdict(f"{header}.{payload}.", algorithm) is TOKEN_INVALID
    assert verdict(f"{header}.{payload}.{signature}", algorithm) is TOKEN_INVALID


@pytest.mark.parametrize("said", [{}, {"alg": None}, {"alg": 7}, {"alg": ["HS256"]}, {"alg": "HS256", "kid": 7}])
def test_a_header_names_its_algorithm_and_its_key_in_text(said: object) -> None:
    _, payload, signature = sign(claims(), "HS256").split(".")
    assert verdict(f"{b64(encoded(said))}.{payload}.{signature}", "HS256") is TOKEN_INVALID


@pytest.mark.parametrize("extension", [{"crit": ["exp"]}, {"crit": ["x"], "x": 1}, {"crit": []}, {"b64": False}, {"b64": True}])
def test_extensions_that_we_do_not_know_are_refused(extension: dict[str, object]) -> None:
    assert verdict(sign(claims(), "HS256", **extension), "HS256") is TOKEN_INVALID


def test_an_encrypted_token_is_malformed() -> None:
    header = b64(encoded({"alg": "RSA-OAEP", "enc": "A256GCM"}))
    assert verdict(f"{header}.AAAA.AAAA.AAAA.AAAA", "RS256") is TOKEN_MALFORMED


def spellings(key: rsa.RSAPrivateKey) -> Iterable[bytes]:
    public = key.public_key()
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        yield public.public_bytes(Encoding.PEM, form)
        yield public.public_bytes(Encoding.PEM, form).strip()
        yield public.public_bytes(Encoding.DER, form)
    yield json.dumps(jwk(key)).encode()
    yield str(jwk(key)["n"]).encode()
    yield b""


@pytest.mark.parametrize("declared", ["RS256", "HS256"])
def test_a_public_key_is_never_an_hmac_secret(declared: str) -> None:
    """Also where the set that is asked hands out the public key whatever it is asked for."""

    class Careless:
        generation = 0

        def find(self, kid: str | None, algorithm: str) -> Sequence[PyJWK]:
            return [PyJWK(jwk(rsa_key()), "RS256")]

    for secret in spellings(rsa_key()):
        token = forged("HS256", lambda signed, secret=secret: hmac.digest(secret, signed, "sha256"))
        assert verdict(token, "RS256") is TOKEN_INVALID
        assert verdict(token, "RS256", ring_of_pem(pem(rsa_key()), ["RS256"])) is TOKEN_INVALID
        assert verdict(token, declared, Careless()) is TOKEN_INVALID
    assert verdict(sign_raw({"alg": declared}, claims(), "PS256"), declared, Careless()) is TOKEN_INVALID
    relabelled = verdict(sign_raw({"alg": declared}, claims(), "RS256"), declared, Careless())
    assert relabelled is (None if declared == "RS256" else TOKEN_INVALID)


def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    own = jwk(key_for("ES256", 1), "k-1")
    for header in ({"jwk": own}, {"jwk": own, "kid": "k-1"}, {"jku": "https://evil.test/jwks", "kid": "k-1"}, {"x5u": "x"}):
        assert verdict(sign(claims(), "ES256", key_for("ES256", 1), **header), "ES256") is TOKEN_INVALID


def test_a_key_serves_for_its_own_algorithm_only() -> None:
    keys = ring_of_set(key_set(jwk(rsa_key(), "k-1", alg="PS256")), {"RS256", "PS256"})
    assert verdict(sign(claims(), "RS256", kid="k-1"), "RS256", keys) is TOKEN_INVALID
    assert verdict(sign(claims(), "PS256", kid="k-1"), "PS256", keys) is None


def test_an_algorithm_of_the_same_family_is_another_algorithm() -> None:
    for token in (sign(claims(), "RS512"), sign(claims(), "PS256")):
        _, payload, signature = token.split(".")
        assert verdict(token, "RS256") is TOKEN_INVALID
        assert verdict(f"{b64(encoded({'alg': 'RS256'}))}.{payload}.{signature}", "RS256") is TOKEN_INVALID


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def padded(content: bytes, size: int, fill: bytes = b"\xff", start: bytes = b"\x00\x01", end: bytes = b"\x00") -> bytes:
    return start + fill * (size - len(start) - len(end) - len(content)) + end + content


@pytest.mark.parametrize(
    "block",
    [
        lambda d, n: padded(SHA256_INFO + d, n, fill=b"\xfe"),
        lambda d, n: padded(SHA256_INFO + d, n, start=b"\x00\x02"),
        lambda d, n: padded(SHA256_INFO + d, n, start=b"\x00\x00", fill=b"\x00"),
        lambda d, n: padded(SHA256_INFO + d, n, end=b"\x01"),
        lambda d, n: b"\x00\x01" + b"\xff" * 8 + b"\x00" + (SHA256_INFO + d).ljust(n - 11, b"\x00"),
        lambda d, n: padded(d, n),
        lambda d, n: padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + d, n),
        lambda d, n: padded(b"\x30\x81" + SHA256_INFO[1:] + d, n),
        lambda d, n: padded(SHA256_INFO + d + b"\x05\x00", n),
        lambda d, n: padded(bytes.fromhex("3021300906052b0e03021a05000414") + d[:20], n),
        lambda d, n: padded(SHA256_INFO + d[:-1], n),
    ],
)
def test_an_rsa_signature_with_modified_padding_is_refused(block: Callable[[bytes, int], bytes]) -> None:
    """Each is what the private key itself made of a wrong block, so only the check of the padding can tell."""
    numbers = rsa_key().private_numbers()

    def signer(signed: bytes) -> bytes:
        content = int.from_bytes(block(hashlib.sha256(signed).digest(), 256))
        return pow(content, numbers.d, numbers.public_numbers.n).to_bytes(256)

    assert verdict(forged("RS256", signer), "RS256") is TOKEN_INVALID


def test_the_right_padding_by_the_same_hand_is_accepted() -> None:
    numbers = rsa_key().private_numbers()

    def signer(signed: bytes) -> bytes:
        content = int.from_bytes(padded(SHA256_INFO + hashlib.sha256(signed).digest(), 256))
        return pow(content, numbers.d, numbers.public_numbers.n).to_bytes(256)

    assert verdict(forged("RS256", signer), "RS256") is None


@pytest.mark.parametrize(
    ("mask", "salt"),
    [(hashes.SHA256(), 0), (hashes.SHA256(), 20), (hashes.SHA256(), 64), (hashes.SHA1(), 32)],
)
def test_a_pss_signature_has_a_salt_and_a_mask_of_its_hash(mask: hashes.HashAlgorithm, salt: int) -> None:
    scheme = padding.PSS(padding.MGF1(mask), salt)
    assert verdict(forged("PS256", lambda signed: rsa_key().sign(signed, scheme, hashes.SHA256())), "PS256") is TOKEN_INVALID


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "numbers",
    [(0, 0), (0, 1), (1, 0), (1, 1), (P256_ORDER, P256_ORDER), (P256_ORDER, 1), (P256_ORDER - 1, 0), (2**256 - 1, 2**256 - 1)],
)
def test_an_ecdsa_signature_of_special_numbers_is_refused(numbers: tuple[int, int]) -> None:
    r, s = numbers
    token = forged("ES256", lambda _: r.to_bytes(32) + s.to_bytes(32))
    assert verdict(token, "ES256") is TOKEN_INVALID
    assert verdict(forged("ES256", lambda _: encode_dss_signature(r, s)), "ES256") is TOKEN_INVALID


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    key = key_for("ES256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert verdict(forged("ES256", lambda signed: key.sign(signed, ec.ECDSA(hashes.SHA256()))), "ES256") is TOKEN_INVALID


def test_a_curve_belongs_to_its_algorithm() -> None:
    key = key_for("ES384")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for kid in (None, "k-1"):
        token = sign(claims(), "ES384", key, **({} if kid is None else {"kid": kid}))
        _, payload, signature = token.split(".")
        assert verdict(f"{b64(encoded({'alg': 'ES256'}))}.{payload}.{signature}", "ES256") is TOKEN_INVALID


# Whatever comes, the answer is a refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("sub", "tenant", "exp", "iat", "nbf", "iss", "aud", "role", "scope", "jti", "typ", "events"),
        JSON | st.text("acme ", max_size=4),
    ),
)
HEADERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("alg", "kid", "typ", "crit", "jwk"), JSON | st.sampled_from(ALGORITHMS))
)


def ends_in_a_verdict(authorization: str) -> None:
    for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
        with suppress(Refused, KeysNeeded):
            policy(algorithm).authenticate(request(authorization))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_as_a_token_end_in_a_verdict(raw: bytes) -> None:
    ends_in_a_verdict("Bearer " + raw.decode("latin-1"))


@given(st.tuples(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80)))
@settings(max_examples=300, deadline=None)
def test_any_bytes_in_the_form_of_a_token_end_in_a_verdict(parts: tuple[bytes, bytes, bytes]) -> None:
    ends_in_a_verdict("Bearer " + ".".join(map(b64, parts)))


@given(HEADERS, CLAIMS, st.binary(max_size=100))
@settings(max_examples=300, deadline=None)
def test_any_header_and_claims_end_in_a_verdict(header: object, payload: object, signature: bytes) -> None:
    ends_in_a_verdict(f"Bearer {b64(encoded(header))}.{b64(encoded(payload))}.{b64(signature)}")


@given(CLAIMS | JSON)
@settings(max_examples=300, deadline=None)
def test_any_claims_that_are_truly_signed_end_in_a_verdict(payload: object) -> None:
    ends_in_a_verdict(f"Bearer {sign(payload, 'HS256')}")


@given(st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_one_changed_byte_is_never_accepted(place: int, byte: int) -> None:
    token = sign(claims(), "HS256").encode()
    place %= len(token)
    changed = token[:place] + bytes([byte]) + token[place + 1 :]
    assert changed == token or verdict(changed.decode("latin-1"), "HS256") is not None
