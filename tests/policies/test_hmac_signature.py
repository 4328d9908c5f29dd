from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.sign import sign_headers
from gateway.errors import SIGNATURE_EXPIRED, SIGNATURE_INVALID, Problem, Refused
from gateway.pipeline import signing
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import TenantById
from gateway.pipeline.policy import Authenticator
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.tenant import Tenant
from policies.hmac_signature import HmacSignature, string_to_sign

from .credentials import NOW, SECRET, SETUP, TENANT, TENANT_ID, request

NONCE = "0123456789abcdef"
BODY = b'{"name": "Ada"}'


def policy(window: int = 300) -> HmacSignature:
    return HmacSignature(HmacSignature.Config(window=window), SETUP)


def headers(tenant_id: str = TENANT.typeid, secret: str = SECRET, timestamp: int = NOW, body: bytes = BODY) -> dict[str, str]:
    url = "https://api.example/v1/users?page=2"
    signed = sign_headers("POST", url, tenant_id=tenant_id, secret=secret, body=body, timestamp=timestamp, nonce=NONCE)
    return dict(signed)


def signed(given: Mapping[str, str], *, received_at: float = NOW) -> InboundRequest:
    return request("POST", "/v1/users?page=2", dict(given), received_at=received_at)


def prove(sent: InboundRequest, record: Tenant | None = TENANT, body: bytes = BODY, window: int = 300) -> Principal:
    claim = policy(window).authenticate(sent)
    assert claim.needs_body
    return claim.prove(Evidence(record, sha256(body).hexdigest()))


def refusal(sent: InboundRequest, record: Tenant | None = TENANT, body: bytes = BODY) -> Refused:
    with pytest.raises(Refused) as caught:
        prove(sent, record, body)
    return caught.value


def test_it_is_an_authenticator() -> None:
    assert isinstance(policy(), Authenticator)


def test_the_string_to_sign_is_the_published_one() -> None:
    message = string_to_sign("tnt_1", "1780000000", "n" * 16, "POST", "API.example:8080", "/a%20b?x=1&&", "e3b0")
    assert message == b"v1\ntnt_1\n1780000000\nnnnnnnnnnnnnnnnn\nPOST\napi.example:8080\n/a%20b?x=1&&\ne3b0"


@pytest.mark.parametrize("tenant_id", [str(TENANT_ID), TENANT.typeid])
def test_a_signed_request_is_the_tenants_in_either_form_of_its_id(tenant_id: str) -> None:
    sent = signed(headers(tenant_id))
    assert policy().authenticate(sent).lookup == TenantById(TENANT_ID)
    principal = prove(sent)
    assert (principal.method, principal.subject, principal.org) == ("hmac", TENANT.typeid, "main")
    assert (principal.credential_id, principal.nonce, principal.nonce_ttl) == ("sec_1", NONCE, 660)
    assert not principal.root


@pytest.mark.parametrize(("window", "ttl"), [(10, 600), (300, 600), (900, 1800)])
def test_a_nonce_outlives_twice_the_window_and_600_seconds_by_the_time_a_body_may_take(window: int, ttl: int) -> None:
    assert prove(signed(headers()), window=window).nonce_ttl == ttl + 60


@pytest.mark.parametrize("window", [0, -1, 901])
def test_a_window_has_bounds(window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        HmacSignature.Config(window=window)


@pytest.mark.parametrize("name", ["X-Signature", "X-Timestamp", "X-Nonce"])
def test_any_part_of_a_signature_presents_one(name: str) -> None:
    assert policy().presents(request(headers={name: ""}))


def test_a_tenant_id_alone_presents_none() -> None:
    assert not policy().presents(request(headers={"X-Tenant-Id": TENANT.typeid}))


@pytest.mark.parametrize("name", ["X-Tenant-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
def test_a_missing_part_is_named(name: str) -> None:
    parts = headers()
    del parts[name]
    refused = refusal(signed(parts))
    assert refused.problem is SIGNATURE_INVALID
    assert name in refused.detail


@pytest.mark.parametrize("skew", [-300, -299, 0, 299, 300])
def test_a_request_within_the_window_passes(skew: int) -> None:
    assert prove(signed(headers(), received_at=NOW + skew))


@pytest.mark.parametrize("skew", [-301, -300.5, 300.5, 301, 86400])
def test_a_request_out_of_the_window_is_refused_before_anything_is_looked_up(skew: float) -> None:
    with pytest.raises(Refused) as caught:
        policy().authenticate(signed(headers(), received_at=NOW + skew))
    assert caught.value.problem is SIGNATURE_EXPIRED


@pytest.mark.parametrize(
    "timestamp",
    [
        f"{NOW}000",
        f"+{NOW}",
        f"-{NOW}",
        f"{NOW}.0",
        f"{NOW} ",
        f" {NOW}",
        "",
        "0",
        f"0{NOW}",
        hex(NOW),
        "1_780_000_000",
        "inf",
        "¹" * 10,
    ],
)
def test_a_timestamp_that_is_not_plain_seconds_is_refused(timestamp: str) -> None:
    refused = refusal(signed({**headers(), "X-Timestamp": timestamp}))
    assert refused.problem is SIGNATURE_INVALID
    assert "seconds" in refused.detail


@pytest.mark.parametrize("nonce", ["", "n" * 15, "n" * 129, "with a space in it", "\xe9" * 16, "tab\tin-the-middle"])
def test_a_nonce_of_another_form_is_refused(nonce: str) -> None:
    refused = refusal(signed({**headers(), "X-Nonce": nonce}))
    assert refused.problem is SIGNATURE_INVALID
    assert "X-Nonce" in refused.detail


@pytest.mark.parametrize(
    "form",
    ["{mac}", "v1={upper}", "v2={mac}", "v1={mac}0", "v1=", "V1={mac}", "v1= {mac}", "v1={mac},v1={mac}", "v1=\xb2{mac}", ""],
)
def test_a_signature_of_another_form_is_refused(form: str) -> None:
    good = headers()
    mac = good["X-Signature"].removeprefix("v1=")
    good["X-Signature"] = form.format(mac=mac, upper=mac.upper())
    refused = refusal(signed(good))
    assert refused.problem is SIGNATURE_INVALID
    assert "X-Signature" in refused.detail


def _plain(refused: Refused) -> tuple[Problem, str, float | None, object, object]:
    return refused.problem, refused.detail, refused.retry_after, refused.headers, refused.members


def test_an_unknown_tenant_is_answered_like_a_bad_signature() -> None:
    bad = refusal(signed(headers(secret="sk_wrong")))
    assert bad.problem is SIGNATURE_INVALID
    assert _plain(refusal(signed(headers()), record=None)) == _plain(bad)
    assert _plain(refusal(signed(headers()), record=replace(TENANT, secrets=()))) == _plain(bad)


@pytest.mark.parametrize("tenant_id", ["acme", "", "tnt_", str(TENANT_ID).upper(), "\xff", TENANT.typeid + "0"])
def test_an_id_that_cannot_be_read_is_looked_up_and_answered_like_an_unknown_one(tenant_id: str) -> None:
    sent = signed({**headers(), "X-Tenant-Id": tenant_id})
    assert policy().authenticate(sent).lookup.id != TENANT_ID
    assert _plain(refusal(sent, record=None)) == _plain(refusal(signed(headers()), record=None))


@pytest.mark.parametrize("record", [None, replace(TENANT, secrets=()), TENANT])
def test_a_mac_is_computed_whether_the_tenant_is_known_or_not(record: Tenant | None, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[bytes] = []
    real = signing.mac_of

    def counting(secret: bytes, message: bytes) -> bytes:
        computed.append(message)
        return real(secret, message)

    sent = signed(headers(secret="sk_wrong"))
    monkeypatch.setattr(signing, "mac_of", counting)
    refusal(sent, record)
    assert len(computed) == 1


def test_the_body_is_signed() -> None:
    assert refusal(signed(headers()), body=BODY + b" ").problem is SIGNATURE_INVALID
    assert prove(signed(headers(body=b"")), body=b"")


_VISIBLE = string.ascii_letters + string.digits + "-_./?=&%"


@given(st.data())
def test_any_change_of_one_signed_field_is_refused(data: st.DataObject) -> None:
    sent = signed(headers())
    kind = data.draw(
        st.sampled_from(["method", "host", "target", "X-Tenant-Id", "X-Timestamp", "X-Nonce", "X-Signature", "body"])
    )
    body = BODY
    if kind == "body":
        body = data.draw(st.binary(max_size=64).filter(lambda other: other != BODY))
    elif kind == "method":
        sent = replace(sent, method=data.draw(st.sampled_from(["GET", "PUT", "PATCH", "post", "DELETE"])))
    elif kind == "host":
        sent = replace(sent, host=data.draw(st.text(_VISIBLE, max_size=20).filter(lambda host: host.lower() != sent.host)))
    elif kind == "target":
        target = data.draw(st.text(_VISIBLE, max_size=40).map(lambda text: f"/{text}".encode()))
        sent = replace(sent, target=target + b"&" if target == sent.target else target)
    else:
        original = headers()[kind]
        place = data.draw(st.integers(0, len(original) - 1))
        letter = data.draw(st.sampled_from(string.ascii_letters + string.digits).filter(lambda one: one != original[place]))
        changed = original[:place] + letter + original[place + 1 :]
        sent = signed({**headers(), kind: changed})
    assert refusal(sent, body=body).problem.status == 401


_NAMES = ["x-tenant-id", "x-timestamp", "x-nonce", "x-signature"]


@given(st.dictionaries(st.sampled_from(_NAMES), st.text(st.characters(max_codepoint=255, exclude_characters="\n\r\0"))))
def test_whatever_the_headers_hold_the_answer_is_a_refusal(parts: dict[str, str]) -> None:
    with pytest.raises(Refused):
        prove(request("POST", "/", parts))


def _rotated(not_after: float, updated_at: float = NOW) -> Tenant:
    old = SigningSecret("sec_1", SECRET.encode(), not_after=not_after)
    return replace(TENANT, secrets=(SigningSecret("sec_2", b"sk_new"), old), updated_at=updated_at)


def test_both_secrets_sign_during_the_grace_of_a_rotation() -> None:
    record = _rotated(not_after=NOW + 60)
    assert prove(signed(headers()), record).credential_id == "sec_1"
    assert prove(signed(headers(secret="sk_new")), record).credential_id == "sec_2"


def test_the_old_secret_is_refused_once_the_grace_has_ended() -> None:
    record = _rotated(not_after=NOW + 60)
    assert prove(signed(headers(), received_at=NOW + 59.9), record)
    assert refusal(signed(headers(), received_at=NOW + 60), record).problem is SIGNATURE_INVALID


def test_a_rotation_without_grace_holds_also_where_the_clock_is_late() -> None:
    record = _rotated(not_after=NOW, updated_at=NOW)
    assert refusal(signed(headers(), received_at=NOW - 5), record).problem is SIGNATURE_INVALID


def test_no_secret_and_no_signature_shows_in_what_may_be_logged() -> None:
    sent = signed(headers())
    claim = policy().authenticate(sent)
    shown = [repr(claim), str(claim), repr(prove(sent)), repr(TENANT), repr(Evidence(TENANT, "00"))]
    bad = refusal(signed(headers(secret="sk_wrong")))
    shown += [repr(bad), str(bad)]
    mac = headers()["X-Signature"].removeprefix("v1=")
    for text in shown:
        assert SECRET not in text
        assert mac not in text
        assert str(bytes.fromhex(mac)) not in text
