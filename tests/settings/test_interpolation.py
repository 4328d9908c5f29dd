"""`${VAR}`, `${VAR:-default}`, `${file:…}` and `$$`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.document import Document
from gateway.settings.fault import Place
from gateway.settings.interpolate import interpolate

from .conftest import VALID, Load, Refused


def _interpolated(text: object, environ: dict[str, str] | None = None) -> object:
    document = Document(text, Place("test.yaml", 1, 1))
    interpolate(document, environ or {})
    assert document.faults == []
    return document.data


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("${A:-9}", "1"),
        ("${C:-9}", "9"),
        ("${EMPTY:-9}", "9"),
        ("${EMPTY}", ""),
        ("${C:-}", ""),
        ("${C:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$$", "$$"),
        ("$A", "$A"),
        ("a$", "a$"),
        ("${A}$$${B}", "1$2"),
        ("${NESTED}", "${A}"),
        ("${C:-$$}", "$$"),
    ],
)
def test_an_expression_becomes_its_text(template: str, text: str) -> None:
    assert _interpolated(template, {"A": "1", "B": "2", "EMPTY": "", "NESTED": "${A}"}) == text


def test_expressions_are_found_at_any_depth() -> None:
    assert _interpolated({"a": [{"b": "${A}"}, 5, None]}, {"A": "x"}) == {"a": [{"b": "x"}, 5, None]}


def test_a_value_that_is_one_expression_may_be_a_number(loaded: Load) -> None:
    text = VALID + 'listeners: {public: {port: "${PORT}", drain: "${DRAIN:-5s}"}}\n'
    got = loaded(text, {"PORT": "8123"})
    assert got.listeners.public.port == 8123
    assert got.listeners.public.drain == 5.0


def test_a_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(" two\nlines \n")
    assert _interpolated(f"<${{file:{secret}}}>") == "< two\nlines >"


@pytest.mark.parametrize("template", ["${", "${}", "${A", "${A-B}", "${1A}", "${A:-${B}}", "${A B}", "${:-x}"])
def test_what_is_no_expression_is_refused(template: str, refused: Refused) -> None:
    said = refused(VALID + f"store: {{prefix: '{template}'}}\n", {"A": "a", "B": "b"})
    assert "expected ${VAR}, ${VAR:-default} or ${file:/path}" in said


@pytest.mark.parametrize("content", [b"\xff", b"x" * (65 << 10), None])
def test_a_file_that_is_no_short_text_is_refused(content: bytes | None, tmp_path: Path, refused: Refused) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    said = refused(VALID + f"store: {{prefix: '${{file:{secret}}}'}}\n")
    assert f"found the file {secret}" in said
    assert len(said.splitlines()) == 1


def test_a_missing_variable_is_one_fault_and_not_also_what_follows_from_it(refused: Refused) -> None:
    said = refused(VALID.replace("ops: only-for-tests-only-for-tests-only", "ops: ${KEY}"))
    assert said.splitlines() == [
        "gateway.yaml:4:10: found the unset variable KEY, expected a variable that is set. "
        "Set it, or write a default: ${KEY:-…}."
    ]


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="$")), value=st.text())
def test_text_without_dollars_and_values_are_taken_as_they_are(text: str, value: str) -> None:
    assert _interpolated(text) == text
    assert _interpolated(text + "${V}" + text, {"V": value}) == text + value + text


@given(text=st.text())
def test_doubling_every_dollar_escapes_any_text(text: str) -> None:
    assert _interpolated(text.replace("$", "$$")) == text
