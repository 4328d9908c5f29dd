from __future__ import annotations

import pytest

from gateway.tenancy.reference import is_reference


@pytest.mark.parametrize("text", ["c", "cust_12345", "a b", "urn:x:1?#[]{}~!", "a,b", "..", "r" * 255])
def test_plain_text_is_a_reference(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize(
    "text", ["", "r" * 256, "a/b", "../x", "a\\b", " a", "a ", "a\n", "a\tb", "\x00", "a\x7f", "caf\xe9", "\u200b", "\u202e"]
)
def test_what_would_not_pass_in_a_header_or_a_path_is_none(text: str) -> None:
    assert not is_reference(text)
