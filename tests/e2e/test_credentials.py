"""Each kind of credential against each way in which it can be good or bad: status, code, and what the upstream saw."""

from __future__ import annotations

import time
from collections.abc import Mapping
from uuid import uuid4

import httpx
import pytest

from gateway.cli.sign import sign_headers

from .conftest import World
from .stack import Customer

KINDS = ("jwt", "hmac", "api_key", "root_key", "widget")
Sent = list[tuple[str, str]]


def target() -> str:
    return f"/api/things/{uuid4().hex}?page=1&x=%20y"


def good(world: World, kind: str, customer: Customer, at: str) -> Sent:
    """Headers that prove a right to act for `customer`."""
    match kind:
        case "jwt":
            return list(customer.bearer().items())
        case "hmac":
            url = world.gateway.public_url + at
            return list(sign_headers("GET", url, tenant_id=customer.id, secret=customer.secret).items())
        case "api_key":
            return [("X-Api-Key", world.mint(customer.id))]
        case "root_key":
            return [("Authorization", f"Bearer {world.mint('main')}"), ("X-Tenant", customer.slug)]
        case _:
            return [("X-Widget-Key", customer.widget_key), ("Origin", customer.origin)]


def wrong(kind: str, sent: Sent) -> Sent:
    """The same with its secret part changed, and its form kept."""
    name = {"jwt": "Authorization", "hmac": "X-Signature", "root_key": "Authorization", "widget": "X-Widget-Key"}
    changed = name.get(kind, "X-Api-Key")
    return [(key, _other_letter(value) if key == changed else value) for key, value in sent]


def _other_letter(value: str) -> str:
    # In the middle: the last letter of a base64 text may hold bits that nobody reads.
    at = len(value) // 2 if "." in value else len(value) - 9
    letter = "0" if value[at] != "0" else "1"
    return value[:at] + letter + value[at + 1 :]


def ask(world: World, at: str, sent: Sent) -> httpx.Response:
    return world.gateway.public.get(at, headers=sent)


def refused(world: World, answer: httpx.Response, at: str, status: int, *codes: str) -> None:
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] in codes
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert world.upstream.at(at.partition("?")[0]) == [], "the upstream saw a refused request"


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_credential_reaches_the_upstream_under_its_tenant(world: World, kind: str) -> None:
    customer, at = world.customer(), target()
    sent = good(world, kind, customer, at)
    answer = ask(world, at, sent)
    assert answer.status_code == 200, answer.text
    (seen,) = world.upstream.at(at)
    assert seen.target == at
    assert seen.header("X-Tenant") == customer.slug
    assert seen.header("X-Tenant-Schema") == customer.slug.replace("-", "_")
    assert seen.header("X-Auth-Method") == ("api_key" if kind == "root_key" else kind)
    assert seen.header("X-Request-Id") == answer.headers["x-request-id"]
    assert seen.header("X-Gateway-Identity")
    for name in ("Authorization", "X-Api-Key", "X-Signature", "X-Nonce", "X-Timestamp", "X-Widget-Key"):
        assert seen.header(name) is None


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("jwt", "TOKEN_INVALID"),
        ("hmac", "SIGNATURE_INVALID"),
        ("api_key", "KEY_INVALID"),
        ("root_key", "KEY_INVALID"),
        ("widget", "KEY_INVALID"),
    ],
)
def test_a_wrong_one_is_401(world: World, kind: str, code: str) -> None:
    customer, at = world.customer(), target()
    refused(world, ask(world, at, wrong(kind, good(world, kind, customer, at))), at, 401, code)


def test_none_is_401_and_says_what_is_accepted(world: World) -> None:
    at = target()
    answer = ask(world, at, [])
    refused(world, answer, at, 401, "TOKEN_MISSING")
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_doubled_one_is_400(world: World, kind: str) -> None:
    customer, at = world.customer(), target()
    sent = good(world, kind, customer, at)
    name = {"jwt": "Authorization", "hmac": "X-Signature", "root_key": "Authorization", "widget": "X-Widget-Key"}
    doubled = next(pair for pair in sent if pair[0] == name.get(kind, "X-Api-Key"))
    answer = ask(world, at, [*sent, doubled])
    refused(world, answer, at, 400, "DUPLICATE_HEADER")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("one", "other"),
    [("jwt", "api_key"), ("jwt", "hmac"), ("jwt", "widget"), ("api_key", "hmac"), ("hmac", "widget"), ("api_key", "widget")],
)
def test_two_kinds_at_once_are_ambiguous(world: World, one: str, other: str) -> None:
    customer, at = world.customer(), target()
    sent = dict(good(world, one, customer, at)) | dict(good(world, other, customer, at))
    refused(world, ask(world, at, list(sent.items())), at, 400, "AMBIGUOUS_CREDENTIALS")


def test_an_expired_token_is_401(world: World) -> None:
    customer, at = world.customer(), target()
    sent = list(customer.bearer(exp=int(time.time()) - 1).items())
    refused(world, ask(world, at, sent), at, 401, "TOKEN_EXPIRED")


def test_an_old_signature_is_401(world: World) -> None:
    customer, at = world.customer(), target()
    url = world.gateway.public_url + at
    sent = sign_headers("GET", url, tenant_id=customer.id, secret=customer.secret, timestamp=int(time.time()) - 302)
    refused(world, ask(world, at, list(sent.items())), at, 401, "SIGNATURE_EXPIRED")


def test_an_expired_key_is_401(world: World) -> None:
    customer, at = world.customer(), target()
    key = world.mint(customer.id, expires_at=time.time() - 1)
    refused(world, ask(world, at, [("X-Api-Key", key)]), at, 401, "KEY_EXPIRED")


# A root key may name any tenant of its org, and a signature covers the id that it names.
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "X-Tenant") for kind in ("jwt", "hmac", "api_key", "widget")),
        *((kind, "X-Tenant-Id") for kind in ("jwt", "api_key", "widget")),
    ],
)
def test_naming_another_tenant_is_401(world: World, kind: str, name: str) -> None:
    customer, other, at = world.customer(), world.customer(), target()
    sent = dict(good(world, kind, customer, at)) | {name: other.slug if name == "X-Tenant" else other.id}
    refused(world, ask(world, at, list(sent.items())), at, 401, "TENANT_MISMATCH")


def test_a_root_key_of_another_org_does_not_know_the_tenant(world: World) -> None:
    customer, at = world.customer(), target()
    foreign = world.customer(org="other")
    sent = [("Authorization", f"Bearer {world.mint('main')}"), ("X-Tenant", foreign.slug)]
    refused(world, ask(world, at, sent), at, 401, "TENANT_UNKNOWN")
    assert customer.slug != foreign.slug


def test_a_token_without_the_header_is_401(world: World) -> None:
    customer, at = world.customer(), target()
    sent = [("Authorization", f"Bearer {customer.token()}")]
    refused(world, ask(world, at, sent), at, 401, "TENANT_HEADER_MISSING")


def test_a_tenant_that_does_not_exist_is_401(world: World) -> None:
    customer, at = world.customer(), target()
    sent = [("Authorization", f"Bearer {customer.token(tenant='nobody')}"), ("X-Tenant", "nobody")]
    refused(world, ask(world, at, sent), at, 401, "TENANT_UNKNOWN")


@pytest.mark.parametrize("kind", KINDS)
def test_a_suspended_tenant_is_403_at_once_and_served_again_at_once(world: World, kind: str) -> None:
    customer, at = world.customer(), target()
    assert ask(world, at, good(world, kind, customer, at)).status_code == 200
    change(world, "suspend/tenant", customer)
    again = target()
    sent = good(world, kind, customer, again)
    refused(world, ask(world, again, sent), again, 403, "TENANT_SUSPENDED")
    change(world, "reactivate/tenant", customer)
    last = target()
    assert ask(world, last, good(world, kind, customer, last)).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_an_archived_tenant_is_403(world: World, kind: str) -> None:
    customer, at = world.customer(), target()
    sent = good(world, kind, customer, at)
    change(world, "archive/tenant", customer)
    refused(world, ask(world, at, sent), at, 403, "TENANT_ARCHIVED")


@pytest.mark.parametrize("kind", ["hmac", "widget", "jwt", "api_key"])
def test_a_bad_credential_of_a_suspended_tenant_is_401(world: World, kind: str) -> None:
    customer, at = world.customer(), target()
    sent = wrong(kind, good(world, kind, customer, at))
    change(world, "suspend/tenant", customer)
    answer = ask(world, at, sent)
    assert answer.status_code == 401
    assert world.upstream.at(at) == []


def test_a_rotated_secret_is_refused_once_the_call_has_answered(world: World) -> None:
    customer, at = world.customer(), target()
    assert ask(world, at, good(world, "hmac", customer, at)).status_code == 200
    rotated = change(world, "rotate/tenant-secret", customer)
    again = target()
    refused(world, ask(world, again, good(world, "hmac", customer, again)), again, 401, "SIGNATURE_INVALID")
    renewed = Customer(customer.id, customer.slug, str(rotated["tenant_secret"]), customer.widget_key, customer.origin)
    last = target()
    assert ask(world, last, good(world, "hmac", renewed, last)).status_code == 200


def test_a_signed_request_is_served_once(world: World) -> None:
    customer, at = world.customer(), target()
    sent = good(world, "hmac", customer, at)
    assert ask(world, at, sent).status_code == 200
    answer = ask(world, at, sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "REPLAYED_REQUEST")
    assert len(world.upstream.at(at)) == 1


def test_a_widget_of_another_origin_is_403_and_preflights_are_answered_from_the_same_list(world: World) -> None:
    customer, at = world.customer(), target()
    sent = [("X-Widget-Key", customer.widget_key), ("Origin", "https://evil.example")]
    refused(world, ask(world, at, sent), at, 403, "ORIGIN_NOT_ALLOWED")
    preflight = {"Origin": customer.origin, "Access-Control-Request-Method": "GET"}
    allowed = world.gateway.public.options(at, headers=preflight)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, customer.origin)
    denied = world.gateway.public.options(at, headers=preflight | {"Origin": "https://evil.example"})
    assert denied.status_code == 403
    assert "access-control-allow-origin" not in denied.headers
    assert world.upstream.at(at.partition("?")[0]) == []


def change(world: World, call: str, customer: Customer) -> Mapping[str, object]:
    answer = world.gateway.admin.post(f"/{call}", params={"tenant_id": customer.id})
    assert answer.status_code == 200, answer.text
    data: Mapping[str, object] = answer.json()["data"]
    return data
