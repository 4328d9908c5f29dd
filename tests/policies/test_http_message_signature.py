from __future__ import annotations

import base64
import string
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256, sha512

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SIGNATURE_EXPIRED, SIGNATURE_INVALID, Refused
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import TenantById
from gateway.pipeline.policy import Authenticator
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.signing import mac_of
from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.tenant import Tenant
from policies.hmac_signature import HmacSignature
from policies.http_message_signature import HttpMessageSignature, signature_base

from .credentials import NOW, SECRET, SETUP, TENANT, TENANT_ID, request

NONCE = "0123456789abcdef"
BODY = b'{"name": "Ada"}'
TARGET = "/v1/users?page=2"
WHOLE = ("@method", "@target-uri")
PARTS = ("@method", "@authority", "@path", "@query")


@dataclass
class Message:
    """A request as the signing library of the other side sees it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def resolve_private_key(self, key_id: str) -> bytes:
        return self._secret


def digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(sha256(body).digest()).decode()}:"


def signed(
    body: bytes = BODY,
    covered: tuple[str, ...] = WHOLE,
    *,
    secret: str = SECRET,
    key_id: str = TENANT.typeid,
    nonce: str | None = NONCE,
    expires: datetime | None = None,
    include_alg: bool = True,
    extra: dict[str, str] | None = None,
    scheme: str = "https",
) -> InboundRequest:
    """A request that was signed by another implementation of RFC 9421."""
    message = Message("POST", f"{scheme}://api.example{TARGET}", dict(extra or {}))
    if body:
        message.headers |= {"Content-Digest": digest_of(body), "Content-Length": str(len(body))}
        covered = (*covered, "content-digest")
    signer = HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys(secret))
    signer.sign(
        message,
        key_id=key_id,
        created=datetime.fromtimestamp(NOW, UTC),
        expires=expires,
        nonce=nonce,
        include_alg=include_alg,
        covered_component_ids=covered,
        use_existing_digest="Content-Digest" in message.headers,
    )
    return request(message.method, TARGET, message.headers, scheme=scheme)


def hand_signed(components: str, parameters: str, headers: dict[str, str] | None = None) -> InboundRequest:
    """A request whose `Signature-Input` is written by hand, so that no library keeps it sane; the MAC is that of nothing."""
    mac = base64.b64encode(bytes(32)).decode()
    fields = {"Signature-Input": f"s=({components}){parameters}", "Signature": f"s=:{mac}:", **(headers or {})}
    return request("GET", TARGET, fields)


def edited(sent: InboundRequest, name: str, value: str | None) -> InboundRequest:
    fields = [(key, old) for key, old in sent.fields if key != name.encode()]
    if value is not None:
        fields.append((name.encode(), value.encode("latin-1")))
    return replace(sent, fields=tuple(fields))


def prove(sent: InboundRequest, record: Tenant | None = TENANT, body: bytes = BODY) -> Principal:
    claim = HttpMessageSignature(HttpMessageSignature.Config(), SETUP).authenticate(sent)
    assert claim.needs_body
    return claim.prove(Evidence(record, sha256(body).hexdigest()))


def refusal(sent: InboundRequest, record: Tenant | None = TENANT, body: bytes = BODY) -> Refused:
    with pytest.raises(Refused) as caught:
        prove(sent, record, body)
    return caught.value


# RFC 9421, appendix B.1.5 and B.2.5
RFC_SECRET = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
RFC_MAC = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
RFC_INPUT = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
RFC_REQUEST = request(
    "POST",
    "/foo?param=Value&Pet=dog",
    {
        "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "Content-Type": "application/json",
        "Content-Length": "18",
        "Signature-Input": f"sig-b25={RFC_INPUT}",
        "Signature": f"sig-b25=:{RFC_MAC}:",
    },
    host="example.com",
    received_at=1618884473,
)


def test_the_mac_of_rfc_9421_appendix_b_2_5_is_reproduced() -> None:
    base = signature_base(RFC_REQUEST, ["date", "@authority", "content-type"], RFC_INPUT)
    assert base64.b64encode(mac_of(RFC_SECRET, base)).decode() == RFC_MAC


def test_the_message_of_rfc_9421_appendix_b_2_5_does_not_satisfy_the_profile() -> None:
    assert refusal(RFC_REQUEST).problem is SIGNATURE_INVALID


def test_it_is_an_authenticator() -> None:
    assert isinstance(HttpMessageSignature(HttpMessageSignature.Config(), SETUP), Authenticator)


def test_the_two_kinds_of_signature_are_told_apart_by_their_headers() -> None:
    message, own = HttpMessageSignature(HttpMessageSignature.Config(), SETUP), HmacSignature(HmacSignature.Config(), SETUP)
    for name in ("Signature", "Signature-Input"):
        assert message.presents(request(headers={name: ""}))
        assert not own.presents(request(headers={name: ""}))
    assert not message.presents(request(headers={"X-Signature": "", "Content-Digest": ""}))


@pytest.mark.parametrize("covered", [WHOLE, PARTS, (*PARTS, "@scheme", "@request-target"), (*WHOLE, "x-request-purpose")])
@pytest.mark.parametrize("key_id", [TENANT.typeid, str(TENANT_ID)])
@pytest.mark.parametrize("include_alg", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_another_implementation_signs_is_accepted(
    covered: tuple[str, ...], key_id: str, include_alg: bool, scheme: str
) -> None:
    sent = signed(
        covered=covered, key_id=key_id, include_alg=include_alg, extra={"X-Request-Purpose": "test, thrice"}, scheme=scheme
    )
    assert HttpMessageSignature(HttpMessageSignature.Config(), SETUP).authenticate(sent).lookup == TenantById(TENANT_ID)
    principal = prove(sent)
    assert (principal.method, principal.subject, principal.org) == ("hmac", TENANT.typeid, "main")
    assert (principal.credential_id, principal.nonce, principal.nonce_ttl) == ("sec_1", NONCE, 660)


def test_a_request_without_body_needs_no_digest() -> None:
    assert prove(signed(b""), body=b"")


def test_the_default_port_is_not_part_of_the_authority() -> None:
    assert prove(replace(signed(b"", PARTS), host="API.example:443"), body=b"")
    assert refusal(replace(signed(b"", PARTS), host="api.example:80"), body=b"").problem is SIGNATURE_INVALID


@pytest.mark.parametrize("missing", PARTS)
def test_what_must_be_covered_is_said(missing: str) -> None:
    refused = refusal(signed(covered=tuple(name for name in PARTS if name != missing)))
    assert refused.problem is SIGNATURE_INVALID
    assert "@method" in refused.detail


@pytest.mark.parametrize(
    "announced", [("Content-Length", "15"), ("Transfer-Encoding", "chunked"), ("Content-Digest", digest_of(BODY))]
)
def test_a_body_without_a_covered_digest_is_refused_before_it_is_read(announced: tuple[str, str]) -> None:
    sent = edited(signed(b""), announced[0].lower(), announced[1])
    with pytest.raises(Refused, match="Content-Digest") as caught:
        HttpMessageSignature(HttpMessageSignature.Config(), SETUP).authenticate(sent)
    assert caught.value.problem is SIGNATURE_INVALID


def test_a_body_that_nobody_announced_is_refused() -> None:
    assert refusal(signed(b""), body=BODY).problem is SIGNATURE_INVALID


def test_a_body_that_differs_from_its_digest_is_refused() -> None:
    assert "Content-Digest" in refusal(signed(), body=BODY + b" ").detail
    assert refusal(signed(), body=b"").problem is SIGNATURE_INVALID


@pytest.mark.parametrize(
    "value", [f"sha-512=:{base64.b64encode(sha512(BODY).digest()).decode()}:", "sha-256=abc", "sha-256=(:AA==:)", "", "sha-256"]
)
def test_a_digest_without_sha_256_is_refused(value: str) -> None:
    refused = refusal(hand_signed('"@method" "@target-uri" "content-digest"', GOOD, {"Content-Digest": value}))
    assert refused.problem is SIGNATURE_INVALID
    assert "Content-Digest" in refused.detail


def test_a_second_digest_beside_sha_256_does_no_harm() -> None:
    both = f"sha-512=:{base64.b64encode(sha512(BODY).digest()).decode()}:, {digest_of(BODY)}"
    assert prove(signed(b"", (*WHOLE, "content-digest"), extra={"Content-Digest": both}))


@pytest.mark.parametrize("skew", [-300, -299, 299, 300])
def test_a_request_within_the_window_passes(skew: int) -> None:
    assert prove(replace(signed(), received_at=NOW + skew))


@pytest.mark.parametrize("skew", [-301, 301, 86400])
def test_a_request_out_of_the_window_is_refused(skew: int) -> None:
    assert refusal(replace(signed(), received_at=NOW + skew)).problem is SIGNATURE_EXPIRED


def test_a_signature_ends_when_it_says_so() -> None:
    sent = signed(expires=datetime.fromtimestamp(NOW + 30, UTC))
    assert prove(replace(sent, received_at=NOW + 30))
    assert refusal(replace(sent, received_at=NOW + 31)).problem is SIGNATURE_EXPIRED


GOOD = f';created={NOW};keyid="{TENANT.typeid}";nonce="{NONCE}"'


def test_the_hand_written_input_is_well_formed() -> None:
    """What the tests below break is whole to begin with: only the MAC is wrong, so it is refused without a detail."""
    assert refusal(hand_signed('"@method" "@target-uri"', GOOD)).detail == ""


@pytest.mark.parametrize(
    "parameters",
    [
        f';created={NOW};keyid="{TENANT.typeid}"',
        f';keyid="{TENANT.typeid}";nonce="{NONCE}"',
        f';created={NOW};nonce="{NONCE}"',
        f';created="{NOW}";keyid="{TENANT.typeid}";nonce="{NONCE}"',
        f';created={NOW}.0;keyid="{TENANT.typeid}";nonce="{NONCE}"',
        f';created=@{NOW};keyid="{TENANT.typeid}";nonce="{NONCE}"',
        f';created;keyid="{TENANT.typeid}";nonce="{NONCE}"',
        f';created={NOW};keyid={TENANT.typeid};nonce="{NONCE}"',
        f';created={NOW};keyid="{TENANT.typeid}";nonce={NONCE}',
        f';created={NOW};keyid="{TENANT.typeid}";nonce="short"',
        f';created={NOW};keyid="{TENANT.typeid}";nonce="{"n" * 129}"',
        f';created={NOW};keyid="{TENANT.typeid}";nonce="a nonce with spaces"',
        GOOD + ';alg="ed25519"',
        GOOD + ';alg="none"',
        GOOD + ";alg=hmac-sha256",
        GOOD + ';expires="never"',
        GOOD + ";expires",
        GOOD + ';weight="12"',
        GOOD + f";created={NOW}",
        GOOD + ', t=("@method")',
        GOOD + ", s=?1",
    ],
)
def test_parameters_out_of_the_profile_are_refused(parameters: str) -> None:
    refused = refusal(hand_signed('"@method" "@target-uri"', parameters))
    assert refused.problem is SIGNATURE_INVALID
    assert refused.detail


@pytest.mark.parametrize(
    "components",
    [
        "",
        '"@method"',
        '"@target-uri"',
        "@method @target-uri",
        '"@method" "@method" "@target-uri"',
        '"@method" "@target-uri" "x-absent"',
        '"@method" "@target-uri" "@status"',
        '"@method" "@target-uri" "@signature-params"',
        '"@method" "@target-uri" "@query-param";name="page"',
        '"@method" "@target-uri" "Host"',
        '"@method" "@target-uri" "host";sf',
        '"@method";req "@target-uri"',
        '"@method" "@target-uri" "x-latin"',
        '"@method" "@target-uri" 12',
    ],
)
def test_components_out_of_the_profile_are_refused(components: str) -> None:
    refused = refusal(hand_signed(components, GOOD, {"X-Latin": "caf\xe9"}))
    assert refused.problem is SIGNATURE_INVALID
    assert refused.detail


@pytest.mark.parametrize("name", ["signature", "signature-input"])
@pytest.mark.parametrize("value", [None, "", "s", "s=1", "s=(", "s=?1", "s=::", "\xff", "s=(),", "s=:AA", "s=()", "x=:AAAA:"])
def test_a_broken_or_missing_half_is_refused(name: str, value: str | None) -> None:
    refused = refusal(edited(signed(), name, value))
    assert refused.problem is SIGNATURE_INVALID
    assert refused.detail


def test_a_mac_has_one_spelling() -> None:
    sent = signed()
    value = sent.headers["signature"]
    # 32 bytes leave two bits of the last letter unused; `x` and its neighbour decode to the same MAC.
    last = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    neighbour = last[last.index(value[-3]) + 1]
    for other in (value[:-3] + neighbour + "=:", value[:-2] + ":", value + " ", value + ";a=1"):
        assert refusal(edited(sent, "signature", other)).problem is SIGNATURE_INVALID


def test_an_unknown_tenant_is_answered_like_a_bad_signature() -> None:
    bad = refusal(signed(secret="wrong"))
    for other in (
        refusal(signed(), record=None),
        refusal(signed(key_id="acme"), record=None),
        refusal(signed(), record=replace(TENANT, secrets=())),
        refusal(signed(), record=None, body=b"another"),
    ):
        assert (other.problem, other.detail, other.headers) == (bad.problem, bad.detail, bad.headers)
    assert (bad.problem, bad.detail) == (SIGNATURE_INVALID, "")


_TEXT = string.ascii_letters + string.digits + "-_./?=&%"


@given(st.data())
def test_any_change_of_one_signed_field_is_refused(data: st.DataObject) -> None:
    covered = data.draw(st.sampled_from([WHOLE, PARTS]))
    sent = signed(covered=covered)
    kind = data.draw(st.sampled_from(["method", "host", "target", "signature", "signature-input", "content-digest", "body"]))
    body = BODY
    if kind == "body":
        body = data.draw(st.binary(max_size=64).filter(lambda other: other != BODY))
    elif kind == "method":
        sent = replace(sent, method=data.draw(st.sampled_from(["GET", "PUT", "PATCH", "post", "DELETE"])))
    elif kind == "host":
        sent = replace(sent, host=data.draw(st.text(_TEXT, max_size=20).filter(lambda host: host.lower() != sent.host)))
    elif kind == "target":
        target = data.draw(st.text(_TEXT, max_size=40).map(lambda text: f"/{text}".encode()))
        sent = replace(sent, target=target + b"&" if target == sent.target else target)
    else:
        original = sent.headers[kind]
        # The label is not signed (RFC 9421, 4.1): both halves must bear the same one, which a change of one half breaks.
        place = data.draw(st.integers(0, len(original) - 1))
        letter = data.draw(st.sampled_from(_TEXT).filter(lambda one: one != original[place]))
        sent = edited(sent, kind, original[:place] + letter + original[place + 1 :])
    assert refusal(sent, body=body).problem.status == 401


_PIECES = [
    "s",
    "=",
    "(",
    ")",
    '"',
    ":",
    ";",
    ",",
    " ",
    "@",
    "%",
    "?1",
    "\\",
    '"@method"',
    '"@target-uri"',
    "created",
    "1",
    "-",
    ".",
    "AAAA",
    "keyid",
    "\xff",
    "\t",
]
_FIELD = st.lists(st.sampled_from(_PIECES), max_size=30).map("".join) | st.text(
    st.characters(max_codepoint=255, exclude_characters="\n\r\0"), max_size=60
)


@given(_FIELD, _FIELD, _FIELD)
def test_whatever_the_headers_hold_the_answer_is_a_refusal(first: str, second: str, third: str) -> None:
    sent = request("POST", "/", {"Signature-Input": first, "Signature": second, "Content-Digest": third})
    with pytest.raises(Refused):
        prove(sent)


@given(_FIELD)
def test_whatever_the_parameters_hold_the_answer_is_a_refusal(text: str) -> None:
    with pytest.raises(Refused):
        prove(hand_signed('"@method" "@target-uri"', GOOD + text), body=b"")


def test_both_secrets_sign_during_the_grace_of_a_rotation() -> None:
    old = SigningSecret("sec_1", SECRET.encode(), not_after=NOW + 60)
    record = replace(TENANT, secrets=(SigningSecret("sec_2", b"sk_new"), old))
    assert prove(signed(secret="sk_new"), record).credential_id == "sec_2"
    assert prove(signed(), record).credential_id == "sec_1"
    assert refusal(replace(signed(), received_at=NOW + 60), record).problem is SIGNATURE_INVALID


def test_no_secret_and_no_signature_shows_in_what_may_be_logged() -> None:
    sent = signed()
    claim = HttpMessageSignature(HttpMessageSignature.Config(), SETUP).authenticate(sent)
    mac = base64.b64decode(sent.headers["signature"].split(":")[1])
    for shown in (repr(claim), str(claim), repr(prove(sent)), str(refusal(sent, record=None))):
        assert SECRET not in shown
        assert str(mac) not in shown
        assert mac.hex() not in shown
