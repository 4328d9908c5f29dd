"""Faults out of what pydantic says about data."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .document import Document
from .fault import KeyPath, did_you_mean, one_of
from .schema import FORMS
from .shape import fields, spot

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "ip_any_network": "a network such as 10.0.0.0/8 or fd00::/8",
    "missing": "it to be there",
}
_LITERALS = re.compile(r"'([^']*)'")


def explain(document: Document, error: ValidationError, base: KeyPath = ()) -> None:
    """Add a fault to `document` for everything that `error` holds about the value at `base`."""
    details = [detail for detail in error.errors(include_url=False) if not _follows(detail, error)]
    for detail in details:
        _explain(document, detail, (*base, *detail["loc"]))


def _follows(detail: ErrorDetails, error: ValidationError) -> bool:
    """A list whose entries are wrong is not also too short."""
    loc = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(loc)] == loc and len(other["loc"]) > len(loc) for other in error.errors(include_url=False)
    )


def _explain(document: Document, detail: ErrorDetails, path: KeyPath) -> None:
    kind = detail["type"]
    if path and path[-1] == "[key]":
        path = path[:-1]
        document.refuse(path, f"the name {document.show_key(path)}", _expected(detail), at_key=True)
    elif kind == "extra_forbidden":
        known = fields(path[:-1])
        expected = one_of(known) if known else "no key there"
        document.refuse(
            path, f"the unknown key {document.show_key(path)}", expected, did_you_mean(str(path[-1]), known), at_key=True
        )
    elif kind == "missing":
        here = spot(path)
        document.refuse(path, f'no key "{path[-1]}"', _EXPECTED[kind], here.description if here else "")
    elif kind in ("value_error", "assertion_error"):
        hint = scrubbed(document, path, detail["msg"].partition(", ")[2], detail["input"])
        document.refuse(path, document.show(path, detail["input"]), "a value that is accepted here", as_sentence(hint))
    else:
        expected = _expected(detail) or scrubbed(document, path, detail["msg"], detail["input"])
        document.refuse(path, document.show(path, detail["input"]), expected, _hint(detail))


def _expected(detail: ErrorDetails) -> str:
    """In words of our own; empty where only pydantic, or the writer of the policy, has words for it."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "string_pattern_mismatch":
            return FORMS.get(context["pattern"], f"text that matches {context['pattern']}")
        case "literal_error" | "enum":
            return one_of(_LITERALS.findall(context["expected"]) or [context["expected"]])
        case "greater_than_equal":
            return f"a number of at least {context['ge']}"
        case "less_than_equal":
            return f"a number of at most {context['le']}"
        case "greater_than":
            return f"a number above {context['gt']}"
        case "less_than":
            return f"a number below {context['lt']}"
        case "too_short":
            return "at least one entry" if context["min_length"] == 1 else f"at least {context['min_length']} entries"
        case "string_too_short":
            return f"text of at least {context['min_length']} characters" if context["min_length"] > 1 else "text"
        case kind:
            return _EXPECTED.get(kind, "")


def _hint(detail: ErrorDetails) -> str:
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        return did_you_mean(detail["input"], _LITERALS.findall(detail.get("ctx", {})["expected"]))
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float):
        return "Write it in quotes."
    return ""


def scrubbed(document: Document, path: KeyPath, message: str, value: object) -> str:
    """A validator's own words about a value that must not be shown."""
    for text in sorted(_hidden_texts(document, path, value), key=len, reverse=True):
        message = message.replace(repr(text), "…").replace(text, "…")
    return message


def _hidden_texts(document: Document, path: KeyPath, value: object) -> Iterable[str]:
    """Texts of all scalars in `value` that must not be shown."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _hidden_texts(document, (*path, key), item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _hidden_texts(document, (*path, index), item)
    elif value not in (None, "") and document.is_hidden(path):
        yield str(value)


def as_sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
