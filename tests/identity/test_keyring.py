"""Which keys are fit for use."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.keyring import MAX_KEYS, KeyFault, KeyRing, ring_of_pem, ring_of_secret, ring_of_set
from tests.identity.forge import SECRET, jwk, key_for, key_set, pem, rsa_key

RSA_ALGORITHMS = {"RS256", "PS256"}


def names(ring: KeyRing, algorithm: str = "RS256", kid: str | None = None) -> list[str | None]:
    return [key.key_id for key in ring.find(kid, algorithm)]


# Sets


def test_a_key_is_found_by_its_name_and_for_its_type_of_algorithm() -> None:
    ring = ring_of_set(key_set(jwk(rsa_key(), "r"), jwk(key_for("ES256"), "e")), {"RS256", "PS256", "ES256"})
    assert names(ring, "RS256", "r") == ["r"]
    assert names(ring, "PS256", "r") == ["r"]
    assert names(ring, "ES256", "e") == ["e"]
    assert names(ring, "ES256", "r") == []
    assert names(ring, "RS256", "x") == []


def test_a_token_that_names_no_key_may_be_of_any_of_its_type() -> None:
    ring = ring_of_set(key_set(jwk(rsa_key(), "a"), jwk(rsa_key(1)), jwk(key_for("ES256"), "e")), {"RS256", "ES256"})
    assert names(ring) == ["a", None]


def test_a_key_serves_for_the_issuers_algorithms_only() -> None:
    ring = ring_of_set(key_set(jwk(rsa_key(), "r")), {"RS256"})
    assert names(ring, "RS512", "r") == []


def test_the_algorithm_that_a_key_names_is_its_only_one() -> None:
    ring = ring_of_set(key_set(jwk(rsa_key(), "r", alg="PS256")), RSA_ALGORITHMS)
    assert names(ring, "PS256", "r") == ["r"]
    assert names(ring, "RS256", "r") == []


SHORT = rsa_key(bits=1024)
SIXTY_FOUR_ZEROS = "A" * 86


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (jwk(rsa_key(), "x", use="enc"), "not meant for signatures"),
        (jwk(rsa_key(), "x", use=7), "not meant for signatures"),
        (jwk(rsa_key(), "x", key_ops=["encrypt"]), "not meant for signatures"),
        (jwk(rsa_key(), "x", key_ops=[]), "not meant for signatures"),
        (jwk(rsa_key(), "x", key_ops="verify"), "not meant for signatures"),
        (jwk(rsa_key(), "x", alg="RSA-OAEP"), "fit none"),
        (jwk(rsa_key(), "x", alg="HS256"), "fit none"),
        (jwk(rsa_key(), "x", alg="RS512"), "fit none"),
        (jwk(rsa_key(), "x", alg="ES256"), "fit none"),
        (jwk(rsa_key(), "x", alg=["RS256"]), "fit none"),
        (jwk(SHORT, "x"), "2048 bits"),
        (jwk(rsa_key(), "x", d="AQAB"), "private"),
        ({"kty": "oct", "kid": "x", "k": SIXTY_FOUR_ZEROS}, "secret"),
        ({"kty": "oct", "kid": "x", "k": SIXTY_FOUR_ZEROS, "alg": "RS256"}, "secret"),
        ({"kty": "RSA", "kid": "x"}, "well-formed"),
        ({"kty": "RSA", "kid": "x", "n": 7, "e": "AQAB"}, "well-formed"),
        ({"kty": "RSA", "kid": "x", "n": "", "e": ""}, "well-formed"),
        (jwk(key_for("ES384"), "x"), "fit none"),
        (jwk(key_for("ES384"), "x", crv="P-256"), "well-formed"),
        (jwk(ec.generate_private_key(ec.SECP256K1()), "x"), "fit none"),
        ({"kty": "EC", "crv": "P-256", "kid": "x", "x": "A" * 43, "y": "A" * 43}, "well-formed"),
        ({"kty": ["RSA"], "kid": "x"}, "fit none"),
        ({"kid": "x"}, "fit none"),
        ({}, "fit none"),
    ],
)
def test_an_unfit_key_is_left_out_and_the_others_serve(bad: dict[str, object], why: str) -> None:
    ring = ring_of_set(key_set(bad, jwk(rsa_key(), "good")), {"RS256", "ES256"})
    assert names(ring) == ["good"]
    assert names(ring, "RS256", "x") == names(ring, "ES256", "x") == []
    assert len(ring.ignored) == 1
    assert why in ring.ignored[0]
    with pytest.raises(KeyFault, match=why):
        ring_of_set(key_set(bad), {"RS256", "ES256"})


def test_a_symmetric_key_in_a_set_serves_nobody() -> None:
    secret = {"kty": "oct", "kid": "s", "k": SIXTY_FOUR_ZEROS}
    ring = ring_of_set(key_set(secret, jwk(rsa_key(), "r")), {"HS256", "RS256"})
    assert names(ring, "HS256", "s") == names(ring, "HS256") == []


@pytest.mark.parametrize(
    "twin", [jwk(rsa_key(), "a"), jwk(rsa_key(1), "a"), jwk(key_for("ES256"), "a"), jwk(rsa_key(1), "a", use="enc")]
)
def test_two_keys_of_one_name_are_refused_as_a_whole(twin: dict[str, object]) -> None:
    with pytest.raises(KeyFault, match="twice"):
        ring_of_set(key_set(jwk(rsa_key(), "a"), twin), {"RS256", "ES256"})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[7]}',
        b'{"keys":[{"kty":"RSA","kid":7}]}',
        b'{"keys":[]}',
        key_set(jwk(rsa_key(), "a"), *[{}] * MAX_KEYS),
        json.dumps(jwk(rsa_key(), "a")).encode(),
    ],
)
def test_what_is_no_set_is_refused(raw: bytes) -> None:
    with pytest.raises(KeyFault):
        ring_of_set(raw, {"RS256"})


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KTY = st.sampled_from(["RSA", "EC", "OKP", "oct"]) | JSON
MEMBERS = dict.fromkeys(
    ("crv", "n", "e", "x", "y", "k", "d", "use", "key_ops", "alg", "kid"), JSON | st.sampled_from(["AQAB", "P-256"])
)


@given(st.binary(max_size=100) | st.lists(st.fixed_dictionaries({"kty": KTY}, optional=MEMBERS), max_size=3))
@settings(max_examples=300, deadline=None)
def test_whatever_an_issuer_publishes_is_a_ring_or_a_fault(published: object) -> None:
    raw = published if isinstance(published, bytes) else json.dumps({"keys": published}).encode()
    try:
        ring = ring_of_set(raw, {"RS256", "ES256", "EdDSA"})
    except KeyFault:
        return
    assert ring.keys


def test_a_fault_never_quotes_a_key() -> None:
    with pytest.raises(KeyFault) as caught:
        ring_of_set(key_set({"kty": "RSA", "kid": "x", "n": "canary", "e": 7, "d": "canary"}), {"RS256"})
    assert "canary" not in str(caught.value)


# Secrets


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_its_hash(algorithm: str, least: int) -> None:
    assert ring_of_secret("s" * least, [algorithm]).find("any", algorithm)
    with pytest.raises(KeyFault, match=f"at least {least} bytes"):
        ring_of_secret("s" * (least - 1), [algorithm])


def test_the_longest_hash_decides() -> None:
    with pytest.raises(KeyFault, match="64 bytes for HS512"):
        ring_of_secret("s" * 32, ["HS256", "HS512"])


def test_a_secret_serves_for_hmac_only() -> None:
    with pytest.raises(KeyFault, match="not for RS256"):
        ring_of_secret(SECRET, ["HS256", "RS256"])
    assert ring_of_secret(SECRET, ["HS256"]).find(None, "RS256") == ()


@pytest.mark.parametrize(
    "secret", [pem(rsa_key()), "  \n" + pem(rsa_key()), pem(key_for("ES256")), json.dumps(jwk(rsa_key())), ""]
)
def test_a_key_of_another_kind_is_no_secret(secret: str) -> None:
    with pytest.raises(KeyFault, match=r"a key of another kind"):
        ring_of_secret(secret, ["HS256"])


def test_a_ring_shows_no_secret() -> None:
    ring = ring_of_secret(SECRET, ["HS256"])
    assert SECRET not in repr(ring)


# PEM


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
)
def test_a_public_key_in_pem_serves_for_any_name(algorithm: str) -> None:
    ring = ring_of_pem(pem(key_for(algorithm)), [algorithm])
    assert ring.find(None, algorithm)
    assert ring.find("any", algorithm)


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256", "EdDSA", "HS384"])
def test_a_public_key_must_fit_every_algorithm(algorithm: str) -> None:
    with pytest.raises(KeyFault, match=f"does not serve for {algorithm}"):
        ring_of_pem(pem(key_for("ES384")), ["ES384", algorithm])


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(KeyFault, match="2048 bits"):
        ring_of_pem(pem(SHORT), ["RS256"])


def test_what_is_no_public_key_is_refused() -> None:
    private = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    other = pem(ed448.Ed448PrivateKey.generate())
    for text in (private, other, "", "nonsense", pem(rsa_key())[:100]):
        with pytest.raises(KeyFault, match="not a public RSA, EC or Ed25519 key"):
            ring_of_pem(text, ["RS256"])
