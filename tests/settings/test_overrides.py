"""Environment variables over keys of the file."""

from __future__ import annotations

import pytest

from .conftest import VALID, Load, Refused


def test_a_variable_stands_over_the_file(loaded: Load) -> None:
    text = VALID + "listeners: {public: {port: 8080}}\n"
    assert loaded(text, {"TENANTGATE__LISTENERS__PUBLIC__PORT": "8081"}).listeners.public.port == 8081


def test_sections_that_the_file_lacks_are_made(loaded: Load) -> None:
    got = loaded(VALID, {"TENANTGATE__LISTENERS__PUBLIC__DRAIN": "5s", "tenantgate__store__url": "redis://store"})
    assert got.listeners.public.drain == 5.0
    assert got.store.url == "redis://store"


def test_names_are_matched_in_any_case_and_with_underscores_for_hyphens(loaded: Load) -> None:
    text = VALID.replace("free", "free-trial")
    got = loaded(text, {"TENANTGATE__PLANS__FREE_TRIAL__BURST": "7"})
    assert list(got.plans) == ["free-trial"]
    assert got.plans["free-trial"].burst == 7


def test_entries_of_lists_are_named_by_their_index_and_may_be_added_at_the_end(loaded: Load) -> None:
    got = loaded(
        VALID,
        {
            "TENANTGATE__UPSTREAMS__APP__TARGETS__0": "http://a:1",
            "TENANTGATE__UPSTREAMS__APP__TARGETS__1": "http://b:1",
        },
    )
    assert got.upstreams["app"].targets == ("http://a:1", "http://b:1")


def test_lists_and_mappings_are_written_as_json(loaded: Load) -> None:
    got = loaded(
        VALID,
        {
            "TENANTGATE__UPSTREAMS__APP__TARGETS": '["http://a:1"]',
            "TENANTGATE__PLANS__PRO": '{"rate": "5/minute", "quotas": {"emails": 5}}',
        },
    )
    assert got.upstreams["app"].targets == ("http://a:1",)
    assert got.plans["pro"].quotas == {"emails": 5}


def test_a_list_can_be_given_whole_and_then_changed_in_parts(loaded: Load) -> None:
    got = loaded(
        VALID,
        {
            "TENANTGATE__UPSTREAMS__APP__TARGETS__1": "http://c:1",
            "TENANTGATE__UPSTREAMS__APP__TARGETS": '["http://a:1", "http://b:1"]',
        },
    )
    assert got.upstreams["app"].targets == ("http://a:1", "http://c:1")


def test_null_is_null(loaded: Load) -> None:
    assert loaded(VALID, {"TENANTGATE__PLANS__FREE__QUOTAS__REQUESTS": "null"}).plans["free"].quotas["requests"] is None


def test_keys_of_policies_can_be_set_also_where_a_policy_stands_by_its_bare_name(loaded: Load) -> None:
    got = loaded(
        VALID,
        {
            "TENANTGATE__ROUTES__0__POLICIES__3__RATE_LIMIT__RATE": "5/second",
            "TENANTGATE__ROUTES__0__POLICIES__4__QUOTA__UNITS": "2",
        },
    )
    assert got.routes[0].policies[3].config == {"rate": "5/second"}
    assert got.routes[0].policies[4].config == {"metric": "requests", "units": "2"}


def test_values_are_not_read_for_expressions(loaded: Load) -> None:
    got = loaded(VALID, {"TENANTGATE__IDENTITY__ISSUERS__MAIN__AUDIENCE": "${HOME}$$"})
    assert got.identity.issuers["main"].audience == "${HOME}$$"


def test_an_override_stands_in_for_a_missing_variable(loaded: Load) -> None:
    text = VALID.replace('targets: ["http://127.0.0.1:9000"]', 'targets: ["${APP_URL}"]')
    got = loaded(text, {"TENANTGATE__UPSTREAMS__APP__TARGETS__0": "http://a:1"})
    assert got.upstreams["app"].targets == ("http://a:1",)


def test_other_variables_are_left_alone(loaded: Load) -> None:
    loaded(VALID, {"TENANTGATE_CONFIG": "x", "TENANTGATE": "x", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TENANTGATE__LISTNERS__PUBLIC__PORT", "1", 'found the unknown key "listners"'),
        ("TENANTGATE__LISTENERS__PUBLIC__PRT", "1", 'found the unknown key "prt"'),
        ("TENANTGATE__LISTENERS__PUBLIC__PORT", "eighty", "expected a whole number"),
        ("TENANTGATE__LISTENERS__PUBLIC__PORT__X", "1", "found a mapping, expected a whole number"),
        ("TENANTGATE__ROUTES__9__NAME", "x", "found 9 below routes"),
        ("TENANTGATE__ROUTES__0__PATH__X", "x", "found x below routes.0.path"),
        ("TENANTGATE__ROUTES__0__POLICIES__1__TENANT_MATCH__X", "1", 'found the unknown key "x"'),
        ("TENANTGATE__", "x", "found an empty part"),
        ("TENANTGATE__STORE__", "x", "found an empty part"),
        ("TENANTGATE__PLANS__FREE__QUOTAS", "{requests: no}", ":1:12: found a value without quotes, expected true or false"),
        ("TENANTGATE__ORGS__MAIN__DEFAULT_PLAN", "fre", "Did you mean free?"),
    ],
)
def test_a_fault_names_the_variable(variable: str, value: str, said: str, refused: Refused) -> None:
    told = refused(VALID, {variable: value})
    assert told.splitlines()[0].startswith(variable)
    assert said in told
