from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forward.headers import inbound, outbound
from gateway.pipeline.call import Call, Customer
from gateway.pipeline.chain import Chain
from gateway.pipeline.policy import Phase, Policy
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.plan import Plan
from policies.api_key import ApiKey
from policies.tenant_headers import TenantHeaders
from tests.samples import ACME, MAIN, SETUP

Fields = list[tuple[bytes, bytes]]

REQUEST = InboundRequest(
    method="GET",
    target=b"/x",
    host="api.example:8080",
    fields=((b"host", b"API.example:8080"),),
    client_ip="192.0.2.1",
    scheme="https",
    request_id="r1",
    received_at=1.75e9,
)
PRINCIPAL = Principal("jwt", "user-7", org="main", role="admin", scopes=frozenset({"b", "a"}))
STAMPED = Chain.of([TenantHeaders(TenantHeaders.Config(), SETUP)])

IDENTITY = [
    *("x-tenant", "x-tenant-id", "x-tenant-ref", "x-tenant-schema", "x-tenant-plan", "x-tenant-region", "x-tenant-anything"),
    *("x-auth-method", "x-auth-subject", "x-auth-role", "x-auth-scopes", "x-auth-anything"),
    *("x-key-id", "x-allowed-domain-ids", "x-environment", "x-gateway-identity", "x-gateway-anything"),
    *("x-request-id", "x-signature", "x-timestamp", "x-nonce", "x-api-key", "x-widget-key", "x-admin-key"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-uri", "x-forwarded-user", "forwarded"),
    *("x-real-ip", "x-original-url", "x-rewrite-url", "x-http-method-override", "x-served-tenant", "x-usage-units", "proxy"),
]
HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"]
HOP_BY_HOP += ["proxy-authorization", "http2-settings"]


def came_in(fields: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """As the reader of responses hands them on: names in lower case."""
    return inbound([(name.lower(), value) for name, value in fields])


def sent(*fields: tuple[str, str], chain: Chain = STAMPED, keep_authorization: bool = False, **changes: object) -> Fields:
    raw = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in fields)
    request = replace(REQUEST, fields=REQUEST.fields + raw, **changes)  # type: ignore[arg-type]
    call = Call(request, "api", "backend", PRINCIPAL, Customer(ACME, Plan("pro"), MAIN))
    return outbound(call, chain, "signed", keep_authorization=keep_authorization)


def values(fields: Fields, name: str) -> list[bytes]:
    """Of the headers that a reader who folds case and marks would take for `name`."""
    return [value for key, value in fields if key.decode().lower().replace("_", "-").replace(".", "-") == name]


def spellings(name: str) -> st.SearchStrategy[str]:
    """`name`, each hyphen as any mark that some reader folds into one, each letter in either case."""
    letters = [st.sampled_from("-_.!~") if letter == "-" else st.sampled_from((letter, letter.upper())) for letter in name]
    return st.tuples(*letters).map("".join)


@given(st.sampled_from(IDENTITY).flatmap(spellings))
def test_no_identity_header_of_a_client_passes_in_any_spelling(name: str) -> None:
    assert b"evil" not in [value for _, value in sent((name, "evil"))]


@given(st.sampled_from(IDENTITY).flatmap(spellings))
def test_no_identity_header_of_an_upstream_passes_in_any_spelling(name: str) -> None:
    assert came_in([(name.encode(), b"evil"), (b"X-Ok", b"1")]) == [(b"x-ok", b"1")]


@given(st.lists(st.sampled_from(IDENTITY)), st.sampled_from(["connection", "Connection"]))
def test_a_client_that_names_our_headers_in_connection_drops_none_of_them(names: list[str], connection: str) -> None:
    assert sent((connection, ", ".join(["close", *names]))) == sent()


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_hop_by_hop_headers_end_here(name: str) -> None:
    assert sent((name, "evil")) == sent()
    assert came_in([(name.encode(), b"evil")]) == []


def test_what_connection_names_ends_here_too() -> None:
    assert sent(("Connection", "X-A ,x-b"), ("X-A", "1"), ("X-B", "2"), ("X-C", "3")) == sent(("X-C", "3"))
    assert came_in([(b"Connection", b"X-A"), (b"x-a", b"1"), (b"x-c", b"3")]) == [(b"x-c", b"3")]


@pytest.mark.parametrize("name", ["content-length", "expect", "signature", "signature-input", "traceparent", "content_length"])
def test_framing_and_proofs_of_the_client_are_not_copied(name: str) -> None:
    assert sent((name, "5")) == sent()


def test_other_headers_pass_unchanged_and_in_order() -> None:
    fields = (("Accept", "*/*"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("Content-Type", "text/plain"), ("X-Tenan", "x"))
    assert sent(*fields)[1:6] == [(name.lower().encode(), value.encode()) for name, value in fields]


def test_authorization_passes_only_where_the_route_keeps_it() -> None:
    assert values(sent(("Authorization", "Bearer t")), "authorization") == []
    assert values(sent(("Authorization", "Bearer t"), keep_authorization=True), "authorization") == [b"Bearer t"]


def test_the_upstream_is_told_who_calls_and_for_which_tenant() -> None:
    fields = sent(("X-Tenant", "globex"), ("X-Auth-Role", "root"))
    assert values(fields, "x-tenant") == [b"acme"]
    assert values(fields, "x-auth-role") == [b"admin"]
    assert values(fields, "x-gateway-identity") == [b"signed"]
    assert values(fields, "x-request-id") == [b"r1"]
    assert values(fields, "host") == [b"api.example:8080"]
    assert values(fields, "via") == [b"1.1 tenantgate"]


@pytest.mark.parametrize(
    ("client_ip", "forwarded_for", "host", "chain", "forwarded"),
    [
        ("192.0.2.1", None, "a.example", b"192.0.2.1", b"for=192.0.2.1;host=a.example;proto=https"),
        (
            "192.0.2.1",
            "192.0.2.1, 10.0.0.1",
            "a:1",
            b"192.0.2.1, 10.0.0.1",
            b'for=192.0.2.1, for=10.0.0.1;host="a:1";proto=https',
        ),
        ("2001:db8::1", None, "[::1]", b"2001:db8::1", b'for="[2001:db8::1]";host="[::1]";proto=https'),
        ("", None, "a", b"unknown", b"for=unknown;host=a;proto=https"),
    ],
)
def test_the_way_of_the_request_is_told_in_both_forms(
    client_ip: str, forwarded_for: str | None, host: str, chain: bytes, forwarded: bytes
) -> None:
    fields = sent(client_ip=client_ip, forwarded_for=forwarded_for, host=host)
    assert values(fields, "x-forwarded-for") == [chain]
    assert values(fields, "forwarded") == [forwarded]
    assert values(fields, "x-forwarded-host") == [host.encode()]
    assert values(fields, "x-forwarded-proto") == [b"https"]


def test_a_checked_traceparent_goes_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert values(sent(traceparent=trace), "traceparent") == [trace.encode()]


def test_via_of_earlier_proxies_stays() -> None:
    assert values(sent(("Via", "1.1 edge")), "via") == [b"1.1 edge", b"1.1 tenantgate"]


class Stamps:
    phase: ClassVar[Phase] = Phase.STAMP

    def __init__(self, **headers: str) -> None:
        self._headers = headers

    def stamp(self, call: Call, headers: MutableMapping[str, str]) -> None:
        headers.update({name.replace("_", "-"): value for name, value in self._headers.items()})


def stamping(**headers: str) -> Chain:
    policy: Policy = Stamps(**headers)
    return Chain.of([policy])


@pytest.mark.parametrize("name", ["X-Department", "x_department", "X.Department"])
def test_a_header_that_a_policy_stamps_cannot_come_from_the_client(name: str) -> None:
    fields = sent((name, "evil"), chain=stamping(x_department="sales"))
    assert values(fields, "x-department") == [b"sales"]


@pytest.mark.parametrize(
    "name", ["host", "content-length", "transfer-encoding", "connection", "x-gateway-identity", "x-request-id"]
)
def test_a_policy_cannot_stamp_what_is_the_gateways_own(name: str) -> None:
    with pytest.raises(ValueError, match="sets itself"):
        sent(chain=stamping(**{name: "5"}))


def test_a_header_that_the_operator_has_tenants_named_in_is_dropped() -> None:
    policy = ApiKey(ApiKey.Config(ref_header="X-Customer"), SETUP)
    assert sent(("X_Customer", "cust_1"), ("X-Customer", "cust_1"), chain=Chain.of([policy])) == sent(chain=Chain.of([policy]))


def test_redirects_and_cookies_of_the_upstream_pass_untouched() -> None:
    fields = [(b"location", b"http://elsewhere.example/a?b"), (b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]
    assert came_in([*fields, (b"Content-Length", b"5")]) == [*fields, (b"content-length", b"5")]
