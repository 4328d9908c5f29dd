from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from gateway.errors import BAD_REQUEST, BODY_TOO_LARGE, DOMAIN_NOT_ALLOWED, TENANT_HEADER_MISSING, Problem, Refused
from gateway.pipeline.policy import rests_on
from gateway.pipeline.principal import ANONYMOUS, Principal
from gateway.tenancy.domain import Domain
from policies.domains import Domains
from tests import samples
from tests.samples import ACME, BOUND_KEY, MAIN, ROOT_KEY, SETUP

OWN = Domain("dom_own", "acme.com", "t", 0, verified_at=1)
SECOND = Domain("dom_second", "news.acme.com", "t", 0, verified_at=1)
PENDING = Domain("dom_pending", "pending.example", "t", 0)
SHARED = Domain("dom_shared", "shared.example", "t", 0, verified_at=1)
TENANT = replace(ACME, domains=(OWN, SECOND, PENDING))
ORG = replace(MAIN, domains=(SHARED,))
RESTRICTED = replace(BOUND_KEY, allowed_domain_ids=("dom_own",))
FROM = Domains(Domains.Config(field="from"), SETUP)


def check(body: object, principal: Principal = BOUND_KEY, policy: Domains = FROM, method: str = "POST") -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = samples.call(principal, TENANT, org=ORG, request=samples.request(method))
    policy.check(replace(call, body=content))


def refusal(body: object, principal: Principal = BOUND_KEY, policy: Domains = FROM) -> Problem:
    with pytest.raises(Refused) as refused:
        check(body, principal, policy)
    return refused.value.problem


@pytest.mark.parametrize(
    "sender",
    ["acme.com", "ACME.com", "a@acme.com", "A.b+c@Acme.COM", "Acme <a@acme.com>", "Acme Corp. <a@acme.com>", "<a@acme.com>",
     '"Acme, Inc." <a@acme.com>', " a@acme.com ", "n@news.acme.com", "a@shared.example", "J\u00fcrgen <j\u00fc@acme.com>"],
)  # fmt: skip
@pytest.mark.parametrize("principal", [BOUND_KEY, ROOT_KEY])
def test_a_domain_that_the_tenant_or_its_organization_has_proved_may_be_named(sender: str, principal: Principal) -> None:
    check({"from": sender}, principal)


@pytest.mark.parametrize(
    "sender", ["a@globex.com", "a@sub.acme.com", "a@pending.example", "a@com", "com", "a@xacme.com", "acme.co"]
)
def test_any_other_may_not(sender: str) -> None:
    assert refusal({"from": sender}) is DOMAIN_NOT_ALLOWED
    assert refusal({"from": sender}, ROOT_KEY) is DOMAIN_NOT_ALLOWED


def test_of_those_a_key_may_allow_only_some() -> None:
    check({"from": "a@acme.com"}, RESTRICTED)
    for sender in ("a@news.acme.com", "a@shared.example"):
        assert refusal({"from": sender}, RESTRICTED) is DOMAIN_NOT_ALLOWED
    check({"from": "a@shared.example"}, replace(BOUND_KEY, allowed_domain_ids=("dom_shared", "dom_gone")))


def test_a_key_that_allows_none_or_one_that_is_not_proved_allows_nothing() -> None:
    assert refusal({"from": "a@acme.com"}, replace(BOUND_KEY, allowed_domain_ids=())) is DOMAIN_NOT_ALLOWED
    pending = replace(BOUND_KEY, allowed_domain_ids=("dom_pending",))
    assert refusal({"from": "a@pending.example"}, pending) is DOMAIN_NOT_ALLOWED


@pytest.mark.parametrize(
    "sender",
    ["evil@x.com, a@acme.com", "evil@x.com a@acme.com", '"evil@x.com" <a@acme.com>', "evil@x.com <a@acme.com>",
     "<evil@x.com> <a@acme.com>", "a@acme.com <evil@x.com>", "evil@x.com@acme.com", "evil@x.com(@acme.com", "a@acme.com (c)",
     "g: a@acme.com;", '"a@b"@acme.com', "a@acme.com\r\nBcc: evil@x.com", "A\nB <a@acme.com>", "a\x00@acme.com",
     "a@[192.0.2.1]", "@acme.com", "a@", "", "<>", "<acme.com>", "a@acme.com.", "a@b\u00fccher.example", "a@\u0430cme.com",
     "x" * 65 + "@acme.com", "N" * 1000 + " <a@acme.com>"],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_no_address(sender: str) -> None:
    assert refusal({"from": sender}) is DOMAIN_NOT_ALLOWED


@pytest.mark.parametrize(
    "body", [{}, [], "a@acme.com", 1, None, {"from": None}, {"from": 1}, {"from": {}}, {"from": []}, {"From": "a@acme.com"},
             {"from": [["a@acme.com"]]}, {"from": ["a@acme.com", None]}]
)  # fmt: skip
def test_a_body_that_names_none_is_refused_lest_the_upstream_takes_another(body: object) -> None:
    assert refusal(body) is DOMAIN_NOT_ALLOWED


def test_each_entry_of_a_list_counts() -> None:
    each = Domains(Domains.Config(field="messages.from"), SETUP)
    check({"messages": [{"from": "a@acme.com"}, {"from": ["b@shared.example", "c@acme.com"]}]}, policy=each)
    check({"messages": {"from": "a@acme.com"}}, policy=each)
    for last in ({"from": "a@globex.com"}, {}, {"from": ""}, "a@acme.com"):
        assert refusal({"messages": [{"from": "a@acme.com"}, last]}, policy=each) is DOMAIN_NOT_ALLOWED
    assert refusal({"messages": []}, policy=each) is DOMAIN_NOT_ALLOWED


def test_so_many_may_be_named_and_no_more() -> None:
    check({"from": ["a@acme.com"] * 1000})
    assert refusal({"from": ["a@acme.com"] * 1001}) is DOMAIN_NOT_ALLOWED


@pytest.mark.parametrize("body", [b"", b"{", b'{"from": "a@acme.com", "from": "a@globex.com"}', b"from=a@acme.com"])
def test_a_body_that_is_not_strict_json_is_refused(body: bytes) -> None:
    assert refusal(body) is BAD_REQUEST


def test_a_body_that_is_too_large_to_be_read_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        FROM.check(samples.call(BOUND_KEY, TENANT, org=ORG, request=samples.request("POST")))
    assert refused.value.problem is BODY_TOO_LARGE


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_requests_that_read_pass(method: str) -> None:
    check(b"", RESTRICTED, method=method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "SEND"])
def test_all_others_have_to_name_one(method: str) -> None:
    with pytest.raises(Refused):
        check(b"{}", method=method)


def test_a_call_without_a_tenant_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        FROM.check(replace(samples.call(ANONYMOUS, None, request=samples.request("POST")), body=b'{"from": "a@acme.com"}'))
    assert refused.value.problem is TENANT_HEADER_MISSING


@pytest.mark.parametrize("field", ["", ".", "a.", ".a", "a..b"])
def test_a_way_that_leads_nowhere_stops_the_start(field: str) -> None:
    with pytest.raises(ValidationError):
        Domains.Config(field=field)


def test_it_rests_on_more_than_a_requests_head() -> None:
    assert rests_on(FROM) == "request"
