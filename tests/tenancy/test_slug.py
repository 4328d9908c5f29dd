from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tenancy.slug import is_slug, schema_from, slug_from


@pytest.mark.parametrize("slug", ["a", "1", "avanter", "clinica-abc", "empresa-xyz", "a-1-b", "a" * 48, "pgx", "publicity"])
def test_a_slug_is_lower_case_letters_digits_and_inner_hyphens(slug):
    assert is_slug(slug)


@pytest.mark.parametrize(
    "text",
    ["", "-", "-a", "a-", "A", "Acme", "a_b", "a b", "a.b", "a/b", "../a", "é", "a\n", "a\x00", "a" * 49, "tnt_1", "а"],
)
def test_anything_else_is_none(text):
    assert not is_slug(text)


@pytest.mark.parametrize("text", ["public", "information-schema", "pg-catalog", "pg-toast", "pg-anything"])
def test_no_tenant_gets_the_schema_of_postgresql_itself(text):
    assert not is_slug(text)
    assert slug_from(text.replace("-", " ").title()) == ""
    with pytest.raises(ValueError, match="not a slug"):
        schema_from(text)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Clínica São José Ltda.", "clinica-sao-jose-ltda"),
        ("  Acme,  Inc. ", "acme-inc"),
        ("cust_12345", "cust-12345"),
        ("ACME", "acme"),
        ("' OR 1=1 --", "or-1-1"),
        ("../../etc", "etc"),
        ("!!!", ""),
        ("", ""),
        ("public", ""),
    ],
)
def test_a_name_becomes_a_slug_where_something_of_it_is_left(name, slug):
    assert slug_from(name) == slug


@given(st.text(max_size=200))
def test_what_becomes_of_any_name_is_a_slug_or_nothing(name):
    slug = slug_from(name)
    assert slug == "" or is_slug(slug)


slugs = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True).filter(is_slug)


@given(slugs, slugs)
def test_a_schema_is_a_postgresql_identifier_and_nobody_elses(one, other):
    schema = schema_from(one)
    assert re.fullmatch(r"[a-z0-9_]{1,63}", schema)
    assert not schema.startswith("pg_")
    assert schema not in {"public", "information_schema"}
    assert (schema == schema_from(other)) == (one == other)
