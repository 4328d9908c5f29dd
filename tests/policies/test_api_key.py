from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    AMBIGUOUS_CREDENTIALS,
    BAD_REQUEST,
    KEY_EXPIRED,
    KEY_INVALID,
    KEY_REVOKED,
    TENANT_KEY_FORBIDDEN,
    TENANT_UNKNOWN,
    Refused,
)
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import OwnerOfKey, Record, TenantById, TenantByRef, TenantBySlug
from gateway.pipeline.policy import Authenticator, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Tenant
from policies.api_key import ApiKey

from .credentials import NOW, ORG, SETUP, TENANT, TENANT_ID, request, stored_key

KEY = "tg_live_0123456789ABCDEFGHIJKLMNOPQRSTUVW1SR6jg"  # a well-formed key, the same in every test process
STORED = stored_key(digest_of(KEY))
BOUND = replace(TENANT, keys=(stored_key(digest_of(new_api_key("tg", "live")), id="key_0"), STORED))
ROOT = replace(ORG, keys=(STORED,))
POLICY = ApiKey(ApiKey.Config(), SETUP)


def with_key(headers: dict[str, str] | None = None, *, received_at: float = NOW) -> InboundRequest:
    return request(headers={"X-Api-Key": KEY, **(headers or {})}, received_at=received_at)


def prove(sent: InboundRequest, record: Record | None = BOUND) -> Principal:
    claim = POLICY.authenticate(sent)
    assert not claim.needs_body
    return claim.prove(Evidence(record))


def refusal(sent: InboundRequest, record: Record | None = BOUND) -> Refused:
    with pytest.raises(Refused) as caught:
        prove(sent, record)
    return caught.value


def test_it_is_an_authenticator() -> None:
    assert isinstance(POLICY, Authenticator)


@pytest.mark.parametrize(
    "headers", [{"X-Api-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer  {KEY}"}]
)
def test_a_key_comes_in_either_header(headers: dict[str, str]) -> None:
    sent = request(headers=headers)
    assert POLICY.presents(sent)
    assert POLICY.authenticate(sent).lookup == OwnerOfKey(digest_of(KEY))
    assert prove(sent).credential_id == "key_1"


@pytest.mark.parametrize(
    "value", ["Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "Basic dGdfOnRn", "Bearer", "", f"tg {KEY}", KEY, "Bearer tgx_live"]
)
def test_what_else_stands_in_authorization_is_not_a_key(value: str) -> None:
    assert not POLICY.presents(request(headers={"Authorization": value}))


@pytest.mark.parametrize("other", [KEY, new_api_key("tg", "test"), "tg_"], ids=["same", "other", "malformed"])
def test_two_keys_are_ambiguous_even_if_they_are_equal(other: str) -> None:
    refused = refusal(request(headers={"X-Api-Key": KEY, "Authorization": f"Bearer {other}"}))
    assert refused.problem is AMBIGUOUS_CREDENTIALS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "' OR 1=1",
        KEY[:-1],
        KEY + "0",
        KEY.upper(),
        f"{KEY} ",
        "tg_live_",
        "a" * 1_000_000,
        "tg_live_" + "0" * 1_000_000,
        "\xff" * 47,
    ],
)
def test_a_malformed_key_is_refused_without_a_look_up(text: str) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.authenticate(request(headers={"X-Api-Key": text}))
    assert caught.value.problem is KEY_INVALID
    assert text[:20] not in caught.value.detail or not text


def test_a_key_of_another_prefix_is_malformed() -> None:
    other = ApiKey(ApiKey.Config(), Setup(route="api", key_prefix="acme"))
    with pytest.raises(Refused):
        other.authenticate(with_key())
    assert other.presents(request(headers={"Authorization": f"Bearer {new_api_key('acme', 'live')}"}))


@given(st.integers(0, len(KEY) - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_any_mistyped_letter_is_refused_without_a_look_up(place: int, letter: str) -> None:
    typed = KEY[:place] + letter + KEY[place + 1 :]
    if typed == KEY:
        return
    with pytest.raises(Refused) as caught:
        POLICY.authenticate(request(headers={"X-Api-Key": typed}))
    assert caught.value.problem is KEY_INVALID


@pytest.mark.parametrize("record", [None, TENANT, ORG])
def test_a_key_that_nobody_holds_is_invalid(record: Record | None) -> None:
    assert refusal(with_key(), record).problem is KEY_INVALID


def test_a_bound_key_is_its_tenants_with_all_that_was_written_for_it() -> None:
    key = replace(STORED, environment="test", allowed_domain_ids=("dom_1",), rate=RateLimit(5, 1, 5))
    principal = prove(with_key(), replace(TENANT, keys=(key,)))
    assert principal == Principal(
        method="api_key",
        subject="key_1",
        org="main",
        scopes=frozenset({"read:tenants"}),
        credential_id="key_1",
        environment="test",
        allowed_domain_ids=("dom_1",),
        rate=RateLimit(5, 1, 5),
    )


@pytest.mark.parametrize("ref", ["cust_1", "", "../x"])
def test_a_bound_key_with_a_reference_is_refused(ref: str) -> None:
    assert refusal(with_key({"X-Tenant-Ref": ref})).problem is TENANT_KEY_FORBIDDEN


def test_an_unproven_key_with_a_reference_learns_only_that_it_is_invalid() -> None:
    assert refusal(with_key({"X-Tenant-Ref": "cust_1"}), None).problem is KEY_INVALID


def _changed(**changes: object) -> Tenant:
    return replace(TENANT, keys=(stored_key(digest_of(KEY), **changes),))


def test_a_revoked_key_is_refused() -> None:
    assert refusal(with_key(), _changed(revoked_at=NOW)).problem is KEY_REVOKED


def test_a_revocation_holds_also_where_the_clock_is_late() -> None:
    sent = with_key(received_at=NOW - 5)
    assert refusal(sent, replace(_changed(revoked_at=NOW), updated_at=NOW)).problem is KEY_REVOKED
    root = replace(ORG, keys=_changed(revoked_at=NOW).keys, updated_at=NOW)
    assert refusal(sent, root).problem is KEY_REVOKED


def test_a_rolled_key_works_until_its_overlap_ends() -> None:
    record = _changed(revoked_at=NOW + 60)
    assert prove(with_key(received_at=NOW + 59.9), record)
    assert refusal(with_key(received_at=NOW + 60), record).problem is KEY_REVOKED


def test_an_expired_key_is_refused() -> None:
    record = _changed(expires_at=NOW + 1)
    assert prove(with_key(), record)
    assert refusal(with_key(received_at=NOW + 1), record).problem is KEY_EXPIRED


def test_it_is_known_when_a_key_ends() -> None:
    assert prove(with_key()).until is None
    assert prove(with_key(), _changed(expires_at=NOW + 60)).until == NOW + 60
    assert prove(with_key(), replace(ORG, keys=_changed(expires_at=NOW + 60).keys)).until == NOW + 60
    assert prove(with_key(), _changed(expires_at=NOW + 60, revoked_at=NOW + 9)).until == NOW + 9


def test_a_key_that_is_both_is_called_revoked() -> None:
    assert refusal(with_key(), _changed(expires_at=NOW, revoked_at=NOW)).problem is KEY_REVOKED


def test_a_root_key_acts_for_nobody_unless_it_names_a_tenant() -> None:
    principal = prove(with_key(), ROOT)
    assert (principal.root, principal.org, principal.acts_for) == (True, "main", None)
    assert principal.scopes == {"read:tenants"}


@pytest.mark.parametrize(
    ("headers", "lookup"),
    [
        ({"X-Tenant": "acme"}, TenantBySlug("acme")),
        ({"X-Tenant-Id": TENANT.typeid}, TenantById(TENANT_ID)),
        ({"X-Tenant-Id": str(TENANT_ID)}, TenantById(TENANT_ID)),
        ({"X-Tenant-Id": str(TENANT_ID), "X-Tenant": "acme"}, TenantById(TENANT_ID)),
        ({"X-Tenant-Ref": "cust_12345"}, TenantByRef("main", "cust_12345")),
        ({"X-Tenant-Ref": "r" * 255}, TenantByRef("main", "r" * 255)),
    ],
)
def test_a_root_key_names_the_tenant_that_it_acts_for(headers: dict[str, str], lookup: object) -> None:
    assert prove(with_key(headers), ROOT).acts_for == lookup


@pytest.mark.parametrize("ref", ["", "r" * 256, "a" * 1024, "../x", "a/b", "a\\b", "a\x00b", "a\x7fb", "caf\xe9", " a", "a "])
def test_a_bad_reference_is_refused(ref: str) -> None:
    assert refusal(with_key({"X-Tenant-Ref": ref}), ROOT).problem is BAD_REQUEST


@pytest.mark.parametrize("other", ["X-Tenant", "X-Tenant-Id"])
def test_a_reference_beside_another_name_is_refused(other: str) -> None:
    sent = with_key({"X-Tenant-Ref": "cust_1", other: TENANT.typeid})
    assert refusal(sent, ROOT).problem is BAD_REQUEST


@pytest.mark.parametrize(
    "headers", [{"X-Tenant": "pg_catalog"}, {"X-Tenant": ""}, {"X-Tenant-Id": "acme"}, {"X-Tenant-Id": ""}]
)
def test_a_name_that_no_tenant_can_have_is_unknown_without_a_look_up(headers: dict[str, str]) -> None:
    assert refusal(with_key(headers), ROOT).problem is TENANT_UNKNOWN


def test_the_references_header_can_be_renamed() -> None:
    renamed = ApiKey(ApiKey.Config(ref_header="X-Customer"), SETUP)
    claim = renamed.authenticate(with_key({"X-Customer": "cust_1", "X-Tenant-Ref": "cust_2"}))
    assert claim.prove(Evidence(ROOT)).acts_for == TenantByRef("main", "cust_1")


@pytest.mark.parametrize("name", ["", "X Customer", "X_Customer", "X-Customer:"])
def test_the_references_header_must_be_a_header(name: str) -> None:
    with pytest.raises(ValueError, match="ref_header"):
        ApiKey.Config(ref_header=name)


_HEADERS = ["x-api-key", "authorization", "x-tenant", "x-tenant-id", "x-tenant-ref"]
_VALUE = st.text(st.characters(max_codepoint=255, exclude_characters="\n\r\0")) | st.sampled_from(
    [KEY, f"Bearer {KEY}", "acme"]
)


@given(st.dictionaries(st.sampled_from(_HEADERS), _VALUE), st.sampled_from([None, BOUND, ROOT]))
def test_whatever_the_headers_hold_nothing_but_a_refusal_is_raised(headers: dict[str, str], record: Record | None) -> None:
    sent = request(headers=headers)
    if not POLICY.presents(sent):
        return
    try:
        principal = prove(sent, record)
    except Refused:
        return
    assert KEY in headers.get("x-api-key", "") + headers.get("authorization", "")
    assert principal.root == (record is ROOT)


def test_no_key_shows_in_what_may_be_logged() -> None:
    claim = POLICY.authenticate(with_key())
    texts = [
        repr(claim),
        str(claim),
        repr(claim.prove(Evidence(BOUND))),
        str(refusal(with_key(), None)),
        repr(refusal(with_key(), None)),
    ]
    with pytest.raises(Refused) as caught:
        POLICY.authenticate(request(headers={"X-Api-Key": KEY[:-1]}))
    texts += [repr(caught.value), str(caught.value)]
    for text in texts:
        assert KEY[8:-1] not in text
