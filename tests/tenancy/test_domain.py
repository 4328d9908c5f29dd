from __future__ import annotations

import pytest

from gateway.tenancy.domain import Domain, domain_name, new_token, verified


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme.com", "acme.com"),
        ("ACME.com", "acme.com"),
        ("a-b.xn--p1ai", "a-b.xn--p1ai"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("1.2.3.example", "1.2.3.example"),
        ("a.b1", "a.b1"),
    ],
)
def test_a_name_has_one_form(text: str, name: str) -> None:
    assert domain_name(text) == name


@pytest.mark.parametrize("text", ["localhost", "127.0.0.1", "a.1", ".com", "com.", "a..b", "a.b\n", "a b.c", "a@b.c", ""])
def test_what_is_no_domain_has_no_name(text: str) -> None:
    assert domain_name(text) is None


def test_the_record_of_the_longest_name_still_has_a_name() -> None:
    longest = ".".join(["a" * 63] * 3 + ["a" * 49])
    assert domain_name(longest) == longest
    assert len(Domain("dom_1", longest, "t", 0).record_name) == 253
    assert domain_name(longest + "a") is None


def test_only_what_is_proved_counts() -> None:
    pending, proved = Domain("dom_1", "acme.com", "t", 0), Domain("dom_2", "acme.com", "t", 0, verified_at=1)
    assert verified([pending], "acme.com") is None
    assert verified([pending, proved], "acme.com") is proved
    assert verified([proved], "mail.acme.com") is None


def test_no_two_tokens_are_alike() -> None:
    assert len({new_token() for _ in range(100)}) == 100
