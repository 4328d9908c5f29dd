from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.forward.identity import REUSED, IdentitySigner
from gateway.pipeline.call import Call, Customer
from gateway.pipeline.principal import ANONYMOUS, Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.plan import Plan
from tests.samples import ACME, MAIN

NOW = 1_750_000_000.9
REQUEST = InboundRequest(
    method="POST",
    target=b"/a%2Fb/c?public_key=1",
    host="api.example",
    fields=(),
    client_ip="192.0.2.1",
    scheme="https",
    request_id="r1",
    received_at=NOW,
)
PRINCIPAL = Principal(
    "api_key",
    "user-7",
    org="main",
    role="admin",
    scopes=frozenset({"b", "a"}),
    credential_id="key_1",
    environment="test",
    allowed_domain_ids=("dom_1",),
)


def pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def signer() -> IdentitySigner:
    return IdentitySigner(pem(Ed25519PrivateKey.generate()))


def verified(signer: IdentitySigner, token: str, audience: str = "backend") -> dict[str, object]:
    """As an upstream would, with nothing but the published keys. The times are checked by the tests."""
    keys = jwt.PyJWKSet.from_dict(dict(signer.jwks()))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    options = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, key, algorithms=["EdDSA"], audience=audience, issuer="tenantgate", options=options)  # type: ignore[arg-type]


def test_the_token_says_what_the_headers_say(signer: IdentitySigner) -> None:
    call = Call(REQUEST, "api", "backend", PRINCIPAL, Customer(replace(ACME, region="eu"), Plan("pro"), MAIN))
    assert verified(signer, signer.token(call, "backend", NOW)) == {
        "iss": "tenantgate",
        "aud": "backend",
        "iat": 1_750_000_000,
        "exp": 1_750_000_030,
        "jti": "r1",
        "sub": "user-7",
        "htm": "POST",
        "htu": "/a%2Fb/c",
        "org": ACME.org,
        "tenant": ACME.slug,
        "tenant_id": ACME.typeid,
        "schema": ACME.schema,
        "plan": ACME.plan,
        "region": "eu",
        "auth_method": "api_key",
        "role": "admin",
        "scopes": ["a", "b"],
        "key_id": "key_1",
        "allowed_domain_ids": ["dom_1"],
        "environment": "test",
    }


def test_what_is_not_known_is_not_claimed(signer: IdentitySigner) -> None:
    claims = verified(signer, signer.token(Call(REQUEST, "api", "backend", ANONYMOUS), "backend", NOW))
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "sub", "htm", "htu", "auth_method", "environment"}


def test_a_key_that_is_bound_to_no_domain_is_told_from_one_without_a_binding(signer: IdentitySigner) -> None:
    bound = replace(PRINCIPAL, allowed_domain_ids=())
    assert verified(signer, signer.token(Call(REQUEST, "api", "b", bound), "backend", NOW))["allowed_domain_ids"] == []


def test_a_token_for_one_upstream_is_none_for_another(signer: IdentitySigner) -> None:
    token = signer.token(Call(REQUEST, "api", "backend", PRINCIPAL), "backend", NOW)
    with pytest.raises(jwt.InvalidAudienceError):
        verified(signer, token, "other")


def test_a_token_that_was_changed_does_not_verify(signer: IdentitySigner) -> None:
    head, claims, signature = signer.token(Call(REQUEST, "api", "backend", PRINCIPAL), "backend", NOW).split(".")
    changed = jwt.utils.base64url_encode(jwt.utils.base64url_decode(claims).replace(b"user-7", b"user-8")).decode()
    with pytest.raises(jwt.InvalidSignatureError):
        verified(signer, f"{head}.{changed}.{signature}")


def test_the_token_has_a_type_of_its_own(signer: IdentitySigner) -> None:
    token = signer.token(Call(REQUEST, "api", "backend", PRINCIPAL), "backend", NOW)
    assert jwt.get_unverified_header(token)["typ"] == "tg-identity+jwt"


def test_only_the_public_key_is_published_under_its_thumbprint() -> None:
    # The key and the thumbprint of RFC 8037, appendix A.1 to A.3.
    seed = urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    signer = IdentitySigner(pem(Ed25519PrivateKey.from_private_bytes(seed)))
    assert signer.jwks() == {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "use": "sig",
                "alg": "EdDSA",
            }
        ]
    }


@pytest.mark.parametrize("text", ["", "secret-that-is-no-pem"])
def test_what_is_no_key_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match="identity key") as caught:
        IdentitySigner(text)
    assert "secret" not in str(caught.value)


def test_another_kind_of_key_is_refused() -> None:
    key = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="Ed25519"):
        IdentitySigner(key.decode())


def test_requests_of_one_caller_share_a_token_for_a_moment(signer: IdentitySigner) -> None:
    call = Call(REQUEST, "api", "backend", PRINCIPAL, Customer(ACME, Plan("pro"), MAIN))
    later = replace(call, request=replace(REQUEST, request_id="r2", target=b"/a%2Fb/c?other=query"))
    first = signer.token(call, "backend", NOW)
    assert signer.token(later, "backend", NOW + REUSED - 1) == first
    assert signer.token(later, "backend", NOW + REUSED) != first


def test_nobody_gets_a_token_that_was_made_for_another_request(signer: IdentitySigner) -> None:
    call = Call(REQUEST, "api", "backend", PRINCIPAL, Customer(ACME, Plan("pro"), MAIN))
    others = [
        replace(call, request=replace(REQUEST, method="GET")),
        replace(call, request=replace(REQUEST, target=b"/a/b/c")),
        replace(call, principal=replace(PRINCIPAL, role="reader")),
        replace(call, customer=Customer(replace(ACME, version=ACME.version + 1, plan="free"), Plan("pro"), MAIN)),
        replace(call, customer=None),
    ]
    tokens = [signer.token(one, "backend", NOW) for one in (call, *others)]
    assert len({*tokens, signer.token(call, "other", NOW)}) == len(others) + 2


def test_a_signed_request_has_a_token_of_its_own(signer: IdentitySigner) -> None:
    call = Call(REQUEST, "api", "backend", replace(PRINCIPAL, nonce="n" * 16))
    again = replace(call, request=replace(REQUEST, request_id="r2"))
    assert signer.token(call, "backend", NOW) != signer.token(again, "backend", NOW)
