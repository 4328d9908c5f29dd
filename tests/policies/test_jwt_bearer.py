"""What a token must say, and when it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from pydantic import ValidationError

from gateway.errors import (
    TENANT_UNKNOWN,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    TOKEN_MALFORMED,
    TOKEN_NOT_ACTIVE,
    TOKEN_REVOKED,
    Problem,
    Refused,
)
from gateway.identity.keyring import ring_of_secret
from gateway.pipeline.claim import Evidence
from gateway.pipeline.issuer import Issuer
from gateway.pipeline.lookup import TenantBySlug
from gateway.pipeline.policy import Authenticator, Setup
from gateway.tenancy.credential import Revocations
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Status, Tenant
from policies.jwt_bearer import JwtBearer, JwtClaim
from tests.identity.forge import NOW, SECRET, claims, request, sign, sign_raw


def issuer(name: str = "own", secret: str = SECRET, **members: object) -> Issuer:
    return Issuer(name, frozenset({"HS256"}), ring_of_secret(secret, ["HS256"]), **members)


def policy(*issuers: Issuer) -> JwtBearer:
    known = {one.name: one for one in issuers or (issuer(),)}
    return JwtBearer(JwtBearer.Config(issuers=tuple(known)), Setup("r", known))


def accept(payload: object, at: float = NOW, **members: object) -> JwtClaim:
    return policy(issuer(**members)).authenticate(request(f"Bearer {sign(payload)}", at))


def assert_refused(problem: Problem, payload: object, at: float = NOW, **members: object) -> Refused:
    with pytest.raises(Refused) as caught:
        accept(payload, at, **members)
    assert caught.value.problem is problem
    assert caught.value.problem.status == 401
    return caught.value


def tenant(revocations: Revocations | None = None) -> Tenant:
    return Tenant(
        id=UUID(int=1),
        org="voki",
        slug="acme",
        schema="acme",
        name="Acme",
        status=Status.ACTIVE,
        plan="starter",
        version=1,
        created_at=0.0,
        updated_at=0.0,
        revocations=revocations or Revocations(),
    )


# Whose credential it is


def test_it_is_an_authenticator() -> None:
    assert isinstance(policy(), Authenticator)


@pytest.mark.parametrize(
    ("authorization", "ours"),
    [
        ("Bearer a.b.c", True),
        ("bEaReR a.b.c", True),
        ("Bearer   a.b.c", True),
        ("Bearer", True),
        ("Bearer ", True),
        ("Bearer garbage", True),
        ("Bearer tgx_live", True),
        ("Bearer tg_live_x", False),
        ("Bearer  tg_live_x", False),
        ("Bearer tg_", False),
        ("Basic YTpi", False),
        ("Bearera.b.c", False),
        ("", False),
        (None, False),
    ],
)
def test_a_bearer_token_that_is_no_api_key_is_ours(authorization: str | None, ours: bool) -> None:
    assert policy().presents(request(authorization)) is ours


def test_the_prefix_of_api_keys_is_the_configured_one() -> None:
    known = {"own": issuer()}
    ours = JwtBearer(JwtBearer.Config(issuers=("own",)), Setup("r", known, key_prefix="zz"))
    assert ours.presents(request("Bearer tg_live_x"))
    assert not ours.presents(request("Bearer zz_live_x"))


def test_the_scheme_is_read_in_any_case() -> None:
    assert policy().authenticate(request(f"bEARER  {sign(claims())}")).subject == "ann"


# What comes of a good token


def test_a_good_token_becomes_a_principal_of_the_tenants_org() -> None:
    claim = accept(claims(role="manager", scope="read:users write:users"))
    assert claim.lookup == TenantBySlug("acme")
    assert claim.needs_body is False
    principal = claim.prove(Evidence(tenant()))
    assert (principal.method, principal.subject, principal.org) == ("jwt", "ann", "voki")
    assert (principal.role, principal.scopes) == ("manager", {"read:users", "write:users"})
    assert (principal.credential_id, principal.root, principal.acts_for, principal.nonce) == (None, False, None, None)


def test_claim_names_are_those_of_the_issuer() -> None:
    payload = {"sub": "ann", "https://acme.test/tenant": "acme", "cognito:role": "r", "permissions": ["a:b"], "exp": NOW + 1}
    names = {"tenant_claim": "https://acme.test/tenant", "role_claim": "cognito:role", "scope_claim": "permissions"}
    claim = accept(payload, **names)
    assert (claim.tenant, claim.role, claim.scopes) == ("acme", "r", {"a:b"})


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("", set()),
        ("a", {"a"}),
        ("a  b ", {"a", "b"}),
        ([], set()),
        (["a", "b"], {"a", "b"}),
        (["https://a.test/x.y"], {"https://a.test/x.y"}),
    ],
)
def test_scopes_are_a_list_or_one_string(scope: object, expected: set[str]) -> None:
    assert accept(claims(scope=scope)).scopes == expected


@pytest.mark.parametrize("scope", [1, True, {"a": 1}, ["a", 1], ["a b"], [""], ["a\tb"], 'a"b', "a\tb", "a\u00a0b", [["a"]]])
def test_scopes_of_another_form_are_refused(scope: object) -> None:
    assert_refused(TOKEN_INVALID, claims(scope=scope))


@pytest.mark.parametrize("role", [1, ["admin"], {"a": "b"}, "", " admin", "admin\r\nx-tenant: globex", "\ud800", "r" * 256])
def test_a_role_is_one_plain_string(role: object) -> None:
    assert_refused(TOKEN_INVALID, claims(role=role))


def test_null_stands_for_an_absent_role_and_absent_scopes() -> None:
    claim = accept({**claims(), "role": None, "scope": None})
    assert (claim.role, claim.scopes) == (None, frozenset())


# Claims that are required


@pytest.mark.parametrize("said", [["acme"], ["acme", "globex"], None, 7, True, {"slug": "acme"}, ""])
def test_the_tenant_is_exactly_one_string(said: object) -> None:
    assert_refused(TOKEN_INVALID, {**claims(), "tenant": said})


def test_a_token_without_tenant_is_refused() -> None:
    assert_refused(TOKEN_INVALID, claims(tenant=None))


@pytest.mark.parametrize("said", ["Acme", "ACME", "acme_x", "pg-catalog", "public", "a/b", "acme*"])
def test_what_can_be_no_tenants_slug_is_unknown_without_a_look_up(said: str) -> None:
    assert_refused(TENANT_UNKNOWN, claims(tenant=said))


def test_a_tenant_that_is_not_there_is_unknown() -> None:
    for record in (None, Organization("voki")):
        with pytest.raises(Refused) as caught:
            accept(claims()).prove(Evidence(record))
        assert caught.value.problem is TENANT_UNKNOWN


def test_an_issuer_of_one_organization_knows_no_tenant_of_another() -> None:
    assert accept(claims(), org="voki").prove(Evidence(tenant())).org == "voki"
    with pytest.raises(Refused) as caught:
        accept(claims(), org="other").prove(Evidence(tenant()))
    assert caught.value.problem is TENANT_UNKNOWN


@pytest.mark.parametrize("said", [None, "", 7, ["ann"], {"a": 1}, True, "a" * 256, "ann\n", " ann", "a\x00b", "\ud800"])
def test_the_subject_is_one_plain_string(said: object) -> None:
    assert_refused(TOKEN_INVALID, {**claims(), "sub": said})


def test_the_longest_subject_is_255_characters() -> None:
    assert accept(claims(sub="a" * 255)).subject == "a" * 255


@pytest.mark.parametrize("said", [7, ["x"], {"a": 1}, True, ""])
def test_an_id_that_could_slip_past_a_revocation_is_refused(said: object) -> None:
    assert_refused(TOKEN_INVALID, claims(jti=said))


# Time


def test_a_token_needs_an_end() -> None:
    assert_refused(TOKEN_INVALID, claims(exp=None))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("said", [str(int(NOW) + 60), True, None, [NOW], {"a": 1}, -1, 253_402_300_800, 10**4000, NOW * 1000])
def test_an_instant_is_a_number_of_seconds(name: str, said: object) -> None:
    assert_refused(TOKEN_INVALID, {**claims(), name: said})


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_number_in_json_is_no_instant(literal: bytes) -> None:
    assert_refused(TOKEN_MALFORMED, b'{"sub":"ann","tenant":"acme","exp":' + literal + b"}")


def test_a_number_beyond_all_floats_is_no_instant() -> None:
    assert_refused(TOKEN_INVALID, b'{"sub":"ann","tenant":"acme","exp":1e999}')


def test_a_token_ends_at_its_very_instant() -> None:
    assert accept(claims(exp=NOW + 0.5))
    assert_refused(TOKEN_EXPIRED, claims(exp=NOW))
    assert_refused(TOKEN_EXPIRED, claims(exp=NOW - 1))


def test_leeway_moves_the_end_and_no_further() -> None:
    assert accept(claims(exp=NOW - 29.5), leeway=30)
    assert_refused(TOKEN_EXPIRED, claims(exp=NOW - 30), leeway=30)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_not_active(name: str) -> None:
    assert accept(claims(**{name: NOW}))
    assert_refused(TOKEN_NOT_ACTIVE, claims(**{name: NOW + 1}))
    assert accept(claims(**{name: NOW + 30}), leeway=30)
    assert_refused(TOKEN_NOT_ACTIVE, claims(**{name: NOW + 31}), leeway=30)


def test_the_time_is_that_of_the_requests_arrival() -> None:
    assert_refused(TOKEN_EXPIRED, claims(), at=NOW + 600)
    assert_refused(TOKEN_NOT_ACTIVE, claims(), at=NOW - 61)


# Issuer and audience


@pytest.mark.parametrize("said", [None, "https://a.test/", "https://a.tes", "https://A.test", ["https://a.test"], 7, ""])
def test_the_issuer_is_compared_byte_for_byte(said: object) -> None:
    assert accept(claims(iss="https://a.test"), issuer="https://a.test")
    assert_refused(TOKEN_INVALID, claims(iss=said), issuer="https://a.test")


@pytest.mark.parametrize(
    "said", [None, "ap", "api2", "API", ["other"], [], ["api", 1], [["api"]], {"api": 1}, 7, "", "other api"]
)
def test_a_token_for_somebody_else_is_refused(said: object) -> None:
    assert_refused(TOKEN_INVALID, claims(aud=said), audience="api")


@pytest.mark.parametrize("said", ["api", ["api"], ["other", "api"]])
def test_the_audience_is_a_string_or_among_a_list(said: object) -> None:
    assert accept(claims(aud=said), audience="api")


OTHER = "another-secret-of-another-issuer-0123456789"


def test_among_several_issuers_the_token_names_its_own() -> None:
    both = policy(issuer("a", issuer="https://a.test"), issuer("b", OTHER, issuer="https://b.test"))
    assert both.authenticate(request(f"Bearer {sign(claims(iss='https://a.test'))}"))
    assert both.authenticate(request(f"Bearer {sign(claims(iss='https://b.test'), key=OTHER.encode())}"))


@pytest.mark.parametrize(
    ("said", "secret"), [("https://a.test", OTHER), ("https://b.test", SECRET), ("x", SECRET), (None, SECRET)]
)
def test_an_issuer_cannot_sign_for_another(said: str | None, secret: str) -> None:
    both = policy(issuer("a", issuer="https://a.test"), issuer("b", OTHER, issuer="https://b.test"))
    with pytest.raises(Refused) as caught:
        both.authenticate(request(f"Bearer {sign(claims(iss=said), key=secret.encode())}"))
    assert caught.value.problem is TOKEN_INVALID


def test_an_issuer_without_a_name_takes_only_what_no_other_claims() -> None:
    both = policy(issuer("a", issuer="https://a.test"), issuer("b", OTHER))
    assert both.authenticate(request(f"Bearer {sign(claims(iss='anything'), key=OTHER.encode())}"))
    assert both.authenticate(request(f"Bearer {sign(claims(iss='https://a.test'))}"))
    with pytest.raises(Refused):
        both.authenticate(request(f"Bearer {sign(claims(iss='https://a.test'), key=OTHER.encode())}"))


def test_issuers_that_cannot_be_told_apart_stop_the_start() -> None:
    with pytest.raises(ValueError, match="'a' and 'b' can't be told apart"):
        policy(issuer("a"), issuer("b", OTHER))


def test_an_unknown_issuer_stops_the_start() -> None:
    with pytest.raises(ValueError, match=r"no issuer 'nobody'.*there are: own"):
        JwtBearer(JwtBearer.Config(issuers=("nobody",)), Setup("r", {"own": issuer()}))


@pytest.mark.parametrize("config", [{}, {"issuers": ()}, {"issuers": ("own",), "extra": 1}])
def test_a_configuration_names_at_least_one_issuer_and_nothing_else(config: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError):
        JwtBearer.Config.model_validate(config)


# Purpose


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_the_types_of_access_tokens_pass(typ: str) -> None:
    assert policy().authenticate(request(f"Bearer {sign(claims(), typ=typ)}"))


@pytest.mark.parametrize(
    "typ",
    ["refresh+jwt", "rt+jwt", "logout+jwt", "tg-identity+jwt", "secevent+jwt", "dpop+jwt", "Refresh", "", 7, None, ["JWT"]],
)
def test_a_header_of_another_type_is_refused(typ: object) -> None:
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {sign(claims(), typ=typ)}"))
    assert caught.value.problem is TOKEN_INVALID


@pytest.mark.parametrize("name", ["typ", "token_use", "token_type", "type"])
@pytest.mark.parametrize("said", ["refresh", "Refresh", "Offline", "logout", "Logout", "refresh_token"])
def test_a_claim_of_another_type_is_refused(name: str, said: str) -> None:
    assert_refused(TOKEN_INVALID, claims(**{name: said}))


def test_a_logout_token_of_openid_connect_is_refused() -> None:
    assert_refused(TOKEN_INVALID, claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}))


@pytest.mark.parametrize("said", [{"typ": "Bearer"}, {"token_use": "access"}, {"token_type": "access"}, {"type": 7}])
def test_a_claim_that_says_access_passes(said: dict[str, object]) -> None:
    assert accept(claims(**said))


# Revocation


def revoked(payload: object, **members: object) -> bool:
    try:
        accept(payload).prove(Evidence(tenant(Revocations(**members))))
    except Refused as refused:
        return refused.problem is TOKEN_REVOKED
    return False


def test_one_token_is_revoked_by_its_id() -> None:
    assert revoked(claims(jti="t-1"), tokens={"t-1": NOW + 600})
    assert not revoked(claims(jti="t-2"), tokens={"t-1": NOW + 600})
    assert not revoked(claims(), tokens={"t-1": NOW + 600})


def test_all_tokens_of_a_subject_issued_before_an_instant_are_revoked() -> None:
    assert revoked(claims(iat=NOW - 10), subjects={"ann": NOW - 5})
    assert not revoked(claims(iat=NOW - 5), subjects={"ann": NOW - 5})
    assert not revoked(claims(iat=NOW - 10), subjects={"bob": NOW - 5})


def test_all_tokens_of_a_tenant_issued_before_an_instant_are_revoked() -> None:
    assert revoked(claims(iat=NOW - 10), issued_before=NOW - 5)
    assert not revoked(claims(iat=NOW - 5), issued_before=NOW - 5)
    assert revoked(claims(iat=NOW - 10), issued_before=NOW - 5, subjects={"ann": NOW - 20})
    assert revoked(claims(iat=NOW - 10), issued_before=NOW - 20, subjects={"ann": NOW - 5})


def test_a_token_that_hides_its_age_counts_as_old() -> None:
    assert revoked(claims(iat=None), issued_before=1.0)
    assert revoked(claims(iat=None), subjects={"ann": 1.0})
    assert not revoked(claims(iat=None))


# What a refusal tells


def test_a_refusal_names_the_scheme_and_never_the_token() -> None:
    token = sign(claims(exp=NOW - 1, sub="canary-subject"))
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {token}"))
    assert ("WWW-Authenticate", 'Bearer realm="tenantgate", error="invalid_token"') in caught.value.headers
    for part in (*token.split("."), "canary-subject"):
        assert part not in f"{caught.value!r} {caught.value}"


def test_the_end_is_not_told_to_a_token_whose_signature_fails() -> None:
    forged = sign(claims(exp=NOW - 1), key=OTHER.encode())
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {forged}"))
    assert caught.value.problem is TOKEN_INVALID


# Form


@pytest.mark.parametrize("token", ["", ".", "..", "...", "x", "a.b.c", "a.b.c.d.e", " ", "é.é.é"])
def test_what_has_not_the_form_of_a_token_is_malformed(token: str) -> None:
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {token}"))
    assert caught.value.problem is TOKEN_MALFORMED


def test_a_token_of_8_kib_passes_and_a_longer_one_does_not() -> None:
    filler = "x" * 6000
    token = sign(claims(filler=filler))
    longer = sign(claims(filler=filler + "x" * ((8192 - len(token)) * 3 // 4)))
    assert len(longer) in range(8188, 8193)
    assert policy().authenticate(request(f"Bearer {longer}"))
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {sign(claims(filler=filler + 'x' * 2000))}"))
    assert caught.value.problem is TOKEN_MALFORMED


GOOD = b'"sub":"ann","tenant":"acme","exp":9999999999'


@pytest.mark.parametrize(
    "payload",
    [
        b"\xef\xbb\xbf{" + GOOD + b"}",
        ("{" + GOOD.decode() + "}").encode("utf-16"),
        ("{" + GOOD.decode() + "}").encode("utf-16-le"),
        ("{" + GOOD.decode() + "}").encode("utf-32"),
        b"{" + GOOD + b',"x":"\xff"}',
        b"{" + GOOD + b',"x":"\xed\xa0\x80"}',
        b"{" + GOOD + b',"tenant":"globex"}',
        b"{" + GOOD + b',"ten\\u0061nt":"globex"}',
        b"{" + GOOD + b',"x":{"a":1,"a":2}}',
        b"{" + GOOD + b',"x":NaN}',
        b"{" + GOOD + b",}",
        b"{" + GOOD + b"} {}",
        b"{" + GOOD + b',"x":' + b"1" * 5000 + b"}",
        b"{" + GOOD + b',"x":' + b"[" * 2500 + b"]" * 2500 + b"}",
        b"{" + GOOD + b',"x":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
        b"[" * 6000,
        b"[{" + GOOD + b"}]",
        b'"text"',
        b"null",
        b"7",
        b"Test",
    ],
)
def test_a_payload_that_two_readers_may_read_differently_is_malformed(payload: bytes) -> None:
    assert_refused(TOKEN_MALFORMED, payload)


@pytest.mark.parametrize(
    "header", [b'{"alg":"HS256","alg":"none"}', b'\xef\xbb\xbf{"alg":"HS256"}', b"[]", b"x", b'{"alg":NaN}']
)
def test_a_header_is_read_as_strictly(header: bytes) -> None:
    with pytest.raises(Refused) as caught:
        policy().authenticate(request(f"Bearer {sign_raw(header, claims(), 'HS256')}"))
    assert caught.value.problem is TOKEN_MALFORMED
