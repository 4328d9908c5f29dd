from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.hygiene import SECURITY_HEADERS, HeaderRules, check_framing, host_of, origin_form
from gateway.errors import Refused

RULES = HeaderRules(frozenset({b"x-acme-ref"}))


def code_of(fields: list[tuple[bytes, bytes]]) -> str:
    with pytest.raises(Refused) as caught:
        RULES.check(fields)
    return caught.value.problem.code


def test_an_ordinary_request_passes() -> None:
    RULES.check([(b"host", b"a"), (b"accept", b"*/*"), (b"accept", b"text/html"), (b"authorization", b"Bearer a.b.c")])


@pytest.mark.parametrize("name", sorted(SECURITY_HEADERS | {b"x-acme-ref"}))
def test_a_security_header_occurs_once(name: bytes) -> None:
    assert code_of([(name, b"a"), (name, b"a")]) == "DUPLICATE_HEADER"


@pytest.mark.parametrize("name", [b"x-tenant", b"x-tenant-id", b"x-tenant-ref", b"x-api-key", b"x-acme-ref"])
def test_a_list_of_tenants_or_keys_is_refused(name: bytes) -> None:
    assert code_of([(name, b"acme, globex")]) == "DUPLICATE_HEADER"


@pytest.mark.parametrize("name", [b"x_tenant", b"x-tenant_id", b"x_api_key", b"x.tenant", b"x_acme_ref", b"X_TENANT"])
def test_a_look_alike_of_a_security_header_is_refused(name: bytes) -> None:
    assert code_of([(name, b"acme")]) == "LOOKALIKE_HEADER"


@pytest.mark.parametrize("name", [b"content_length", b"transfer_encoding", b"transfer.encoding"])
def test_a_look_alike_of_the_framing_is_refused(name: bytes) -> None:
    assert code_of([(name, b"5")]) == "LOOKALIKE_HEADER"


@pytest.mark.parametrize("value", [b"a\x00", b"a\rb", b"\x01", b"a\nX-Tenant: b"])
def test_control_characters_are_refused_in_any_header(value: bytes) -> None:
    assert code_of([(b"x-anything", value)]) == "BAD_REQUEST"


def test_a_security_header_is_printable_ascii() -> None:
    assert code_of([(b"x-tenant", b"acm\xff")]) == "BAD_REQUEST"


def test_a_name_is_a_token() -> None:
    assert code_of([(b"x tenant", b"acme")]) == "BAD_REQUEST"


def test_too_many_headers_are_refused() -> None:
    assert code_of([(b"a%d" % n, b"") for n in range(101)]) == "HEADERS_TOO_LARGE"


def test_too_large_headers_are_refused_before_they_are_read() -> None:
    assert code_of([(b"authorization", b"Bearer " + b"a" * (1 << 20))]) == "HEADERS_TOO_LARGE"


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=8))
def test_whatever_comes_is_passed_or_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with suppress(Refused):
        RULES.check(fields)


@pytest.mark.parametrize(
    "fields",
    [
        [(b"content-length", b"5"), (b"content-length", b"10")],
        [(b"content-length", b"5"), (b"content-length", b"5")],
        [(b"content-length", b"5, 5")],
        [(b"content-length", b"+5")],
        [(b"content-length", b"1_0")],
        [(b"content-length", b"0x5")],
        [(b"content-length", b"-0")],
        [(b"content-length", b"05")],
        [(b"content-length", b"")],
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"xchunked")],
        [(b"transfer-encoding", b",chunked")],
        [(b"transfer-encoding", b"identity")],
        [(b"transfer-encoding", b"gzip, chunked")],
    ],
)
def test_an_ambiguous_length_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Refused) as caught:
        check_framing(fields)
    assert caught.value.problem.status == 400


def test_the_length_of_a_body_is_known_absent_or_open() -> None:
    assert check_framing([(b"content-length", b"10")]) == 10
    assert check_framing([]) == 0
    assert check_framing([(b"transfer-encoding", b"Chunked")]) is None


@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b""], [b"u@a"], [b"a,b"], [b"a b"], [b"a:99999999"], [b"a/b"]])
def test_a_request_has_one_plain_host(hosts: list[bytes]) -> None:
    with pytest.raises(Refused) as caught:
        host_of(RULES.check([(b"host", host) for host in hosts]).get("host"))
    assert caught.value.problem.status == 400


@pytest.mark.parametrize("host", [b"Example.com", b"example.com:8080", b"127.0.0.1:1", b"[::1]:8080", b"a_b.local"])
def test_a_host_is_read_in_lower_case(host: bytes) -> None:
    assert host_of(RULES.check([(b"host", host)])["host"]) == host.decode().lower()


def test_an_absolute_target_is_cut_to_its_origin_form_where_it_agrees_with_host() -> None:
    assert origin_form(b"http://Example.com/a?b=1", "example.com") == b"/a?b=1"
    assert origin_form(b"https://example.com", "example.com") == b"/"
    assert origin_form(b"/a?b=http://other/", "example.com") == b"/a?b=http://other/"


@pytest.mark.parametrize("target", [b"http://evil.com/a", b"http://u@example.com/", b"ftp://example.com/", b"*", b"a:443", b""])
def test_any_other_target_is_refused(target: bytes) -> None:
    with pytest.raises(Refused) as caught:
        origin_form(target, "example.com")
    assert caught.value.problem.status == 400
