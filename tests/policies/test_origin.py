from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import AMBIGUOUS_CREDENTIALS, BAD_REQUEST, KEY_INVALID, ORIGIN_NOT_ALLOWED, Refused
from gateway.pipeline.call import Call, Customer
from gateway.pipeline.lookup import OwnerOfWidgetKey, TenantByOrigin
from gateway.pipeline.policy import CrossOrigin, Guard
from gateway.pipeline.principal import Method, Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.plan import Plan
from policies.origin import Origin

from .credentials import ORG, SETUP, TENANT, WIDGET_KEY, request

POLICY = Origin(Origin.Config(), SETUP)
ACME = "https://acme.example"
OTHERS = [
    "https://evil.example",
    "http://acme.example",
    "https://acme.example:8443",
    "https://acme.example:443",
    "https://acme.example/",
    "https://acme.example.evil.example",
    "https://www.acme.example",
    "https://ACME.example",
    "https://acme.example, https://evil.example",
    "null",
    "*",
    "",
]


def call(origin: str | None, method: Method = "widget", tenant: bool = True) -> Call:
    headers = {} if origin is None else {"Origin": origin}
    customer = Customer(TENANT, Plan("pro"), ORG) if tenant else None
    return Call(request(headers=headers), "chat", "chat", Principal(method, "pk_abcdefgh"), customer)


def preflight(origin: str | None, target: str = "/chat", **headers: str) -> InboundRequest:
    sent = {"Access-Control-Request-Method": "POST", **({} if origin is None else {"Origin": origin})}
    return request("OPTIONS", target, sent | {name.replace("_", "-"): value for name, value in headers.items()})


def test_it_is_a_guard_and_speaks_cors() -> None:
    assert isinstance(POLICY, Guard)
    assert isinstance(POLICY, CrossOrigin)


def test_a_page_of_the_tenant_passes() -> None:
    POLICY.check(call(ACME))


@pytest.mark.parametrize("origin", [None, *OTHERS])
def test_a_page_of_anybody_else_is_refused(origin: str | None) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.check(call(origin))
    assert caught.value.problem is ORIGIN_NOT_ALLOWED


def test_null_is_never_allowed_not_even_if_it_was_listed() -> None:
    listed = call("null")
    assert listed.customer is not None
    tenant = replace(TENANT, origins=("null", "*"))
    with pytest.raises(Refused):
        POLICY.check(replace(listed, customer=replace(listed.customer, tenant=tenant)))


@pytest.mark.parametrize("method", ["jwt", "hmac", "api_key", "public"])
def test_callers_with_a_secret_need_no_origin(method: Method) -> None:
    POLICY.check(call(None, method))


def test_a_preflight_is_decided_by_the_tenant_of_its_origin() -> None:
    assert POLICY.preflight(preflight(ACME)) == TenantByOrigin(ACME)


def test_a_preflight_is_decided_by_the_key_in_its_url() -> None:
    assert POLICY.preflight(preflight(ACME, f"/chat?public_key={WIDGET_KEY}")) == OwnerOfWidgetKey(WIDGET_KEY)


@pytest.mark.parametrize(
    "origin", [None, "null", "*", "", "acme.example", "https://a/b", "https://a b", "https://u@a", "https://" + "a" * 300]
)
def test_a_preflight_without_a_true_origin_is_refused_without_a_look_up(origin: str | None) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.preflight(preflight(origin))
    assert caught.value.problem is ORIGIN_NOT_ALLOWED


def test_a_preflight_with_a_bad_key_is_refused_without_a_look_up() -> None:
    with pytest.raises(Refused) as caught:
        POLICY.preflight(preflight(ACME, "/chat?public_key=pk_1"))
    assert caught.value.problem is KEY_INVALID
    with pytest.raises(Refused) as caught:
        POLICY.preflight(preflight(ACME, f"/chat?public_key={WIDGET_KEY}&public_key={WIDGET_KEY}"))
    assert caught.value.problem is AMBIGUOUS_CREDENTIALS


def test_a_preflight_is_answered_with_what_was_asked_as_far_as_it_is_safe() -> None:
    asked = preflight(ACME, Access_Control_Request_Headers="X-Widget-Key, content-type,x-tenant-id, cookie")
    assert POLICY.allow(asked, TENANT) == {
        "Access-Control-Allow-Origin": ACME,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type, x-widget-key",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


def test_a_preflight_that_asks_for_no_header_gets_none() -> None:
    assert "Access-Control-Allow-Headers" not in POLICY.allow(preflight(ACME), TENANT)


@pytest.mark.parametrize("origin", OTHERS)
def test_a_preflight_of_another_origin_is_refused(origin: str) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.allow(preflight(origin), TENANT)
    assert caught.value.problem is ORIGIN_NOT_ALLOWED


@pytest.mark.parametrize("record", [None, ORG, replace(TENANT, origins=())])
def test_a_preflight_that_leads_to_no_tenant_is_refused(record: None) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.allow(preflight(ACME), record)
    assert caught.value.problem is ORIGIN_NOT_ALLOWED


@pytest.mark.parametrize("method", ["", "P OST", "GET, POST", "*", "\xff"])
def test_a_preflight_for_what_is_no_method_is_refused(method: str) -> None:
    with pytest.raises(Refused) as caught:
        POLICY.allow(preflight(ACME, Access_Control_Request_Method=method), TENANT)
    assert caught.value.problem is BAD_REQUEST


def test_the_answer_is_readable_for_the_tenants_pages_only() -> None:
    exposed = POLICY.expose(call(ACME))
    assert exposed["Access-Control-Allow-Origin"] == ACME
    assert exposed["Vary"] == "Origin"
    assert "RateLimit" in exposed["Access-Control-Expose-Headers"]
    for other in (call(None), call("https://evil.example"), call("null"), call(ACME, "public", tenant=False)):
        assert POLICY.expose(other) == {"Vary": "Origin"}


def test_credentials_and_wildcards_are_never_allowed() -> None:
    for headers in (POLICY.expose(call(ACME)), POLICY.allow(preflight(ACME), TENANT)):
        assert "Access-Control-Allow-Credentials" not in headers
        assert "*" not in headers.values()
