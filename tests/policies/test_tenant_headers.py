from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.principal import ANONYMOUS
from policies.tenant_headers import TenantHeaders
from tests import samples
from tests.samples import ACME, BOUND_KEY, JWT

STAMP = TenantHeaders(TenantHeaders.Config(), samples.SETUP)


def stamped(caller=JWT, tenant=ACME) -> dict[str, str]:
    headers: dict[str, str] = {}
    STAMP.stamp(samples.call(caller, tenant), headers)
    return headers


def test_the_upstream_learns_all_that_is_known():
    caller = replace(
        BOUND_KEY,
        role="manager",
        scopes=frozenset({"write:users", "read:users"}),
        environment="test",
        allowed_domain_ids=("dom_1", "dom_2"),
    )
    assert stamped(caller, replace(ACME, region="eu", slug="acme-2", schema="acme_2")) == {
        "x-tenant": "acme-2",
        "x-tenant-id": "tnt_01h455vb4pex5vsknk084sn02q",
        "x-tenant-schema": "acme_2",
        "x-tenant-plan": "pro",
        "x-tenant-region": "eu",
        "x-auth-method": "api_key",
        "x-auth-subject": "key_1",
        "x-auth-role": "manager",
        "x-auth-scopes": "read:users write:users",
        "x-key-id": "key_1",
        "x-allowed-domain-ids": "dom_1,dom_2",
        "x-environment": "test",
    }


def test_what_is_not_known_is_not_sent():
    assert stamped().keys() == {
        "x-tenant",
        "x-tenant-id",
        "x-tenant-schema",
        "x-tenant-plan",
        "x-auth-method",
        "x-auth-subject",
        "x-environment",
    }


def test_a_call_without_a_tenant_names_none():
    assert not [name for name in stamped(ANONYMOUS, None) if name.startswith("x-tenant")]
    assert stamped(ANONYMOUS, None)["x-auth-method"] == "public"


def test_a_key_that_may_use_no_domain_differs_from_one_that_may_use_all():
    assert "x-allowed-domain-ids" not in stamped(replace(BOUND_KEY, allowed_domain_ids=None))
    assert stamped(replace(BOUND_KEY, allowed_domain_ids=()))["x-allowed-domain-ids"] == ""


def test_a_scope_with_a_space_does_not_become_two():
    headers = stamped(replace(JWT, scopes=frozenset({"read admin"})))
    assert headers["x-auth-scopes"] == "read%20admin"


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("auth0|5f7c", "auth0|5f7c"),
        ("josé", "jos%C3%A9"),
        ("a\r\nX-Tenant: globex", "a%0D%0AX-Tenant:%20globex"),
        ("50%", "50%25"),
        ("%0D", "%250D"),
        ("\ud800", "%ED%A0%80"),
        ("", ""),
    ],
)
def test_a_subject_is_percent_encoded(subject, value):
    assert stamped(replace(JWT, subject=subject))["x-auth-subject"] == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_subject_is_visible_ascii_and_can_be_read_back(subject):
    value = stamped(replace(JWT, subject=subject, role=subject))["x-auth-subject"]
    assert all("!" <= letter <= "~" for letter in value)
    assert unquote(value) == subject
