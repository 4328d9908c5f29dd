"""`${VAR}`, `${VAR:-default}` and `${file:/path}` in the texts of a configuration; `$$` is a `$`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .document import Document
from .fault import KeyPath, did_you_mean

_MAX_FILE = 64 << 10
_EXPRESSION = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<body>[^{}]*)\}|(?P<broken>\{))")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class _Missing(Exception):
    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        super().__init__(found)
        self.found, self.expected, self.hint = found, expected, hint


def interpolate(document: Document, environ: Mapping[str, str]) -> None:
    """Replace the expressions in every text of the file; what is missing becomes a fault of `document`. What an environment
    variable has overridden is taken as it is."""
    document.data = _replaced(document, document.data, (), environ)


def _replaced(document: Document, value: object, path: KeyPath, environ: Mapping[str, str]) -> object:
    if path in document.origins:
        return value
    if isinstance(value, dict):
        return {key: _replaced(document, item, (*path, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(document, item, (*path, index), environ) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        text, origins = _text(value, environ)
    except _Missing as missing:
        document.refuse(path, missing.found, missing.expected, missing.hint)
        document.broken.add(path)
        return ""
    if origins:
        document.origins[path] = ", ".join(dict.fromkeys(origins))
    return text


def _text(template: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text that `template` stands for, and the expressions that it was made from. Raises _Missing."""
    origins: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["broken"]:
            raise _Missing("${ without a } that fits", "${VAR}, ${VAR:-default} or ${file:/path}", "Write $${ for a plain ${.")
        origin, text = _expression(match["body"], environ)
        origins.append(origin)
        return text

    return _EXPRESSION.sub(replace, template), origins


def _expression(body: str, environ: Mapping[str, str]) -> tuple[str, str]:
    if body.startswith("file:"):
        return f"${{{body}}}", _content(body.removeprefix("file:"))
    match = _VARIABLE.fullmatch(body)
    if match is None:
        raise _Missing("a malformed ${…}", "${VAR}, ${VAR:-default} or ${file:/path}", "Write $${ for a plain ${.")
    name, default = match["name"], match["default"]
    value = environ.get(name)
    if value or (value is not None and default is None):
        return f"${{{name}}}", value
    if default is None:
        hint = did_you_mean(name, environ) or f"Set it, or write a default: ${{{name}:-…}}."
        raise _Missing(f"the unset variable {name}", "a variable that is set", hint)
    return f"${{{name}}}", default.removeprefix(":-")


def _content(name: str) -> str:
    """The text of a file, without the newline at its end, as editors and secret stores leave one there."""
    try:
        with Path(name).open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
        if len(raw) > _MAX_FILE:
            raise _Missing(f"the file {name} of more than 64 KiB", "a short file")
        return raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise _Missing(f"the file {name}, which can't be read ({error.strerror})", "a readable file") from None
    except ValueError:
        raise _Missing(f"the file {name}, which is not UTF-8", "a text file") from None
