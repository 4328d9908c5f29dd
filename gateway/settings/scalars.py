"""What a plain scalar means. Where YAML 1.1 and 1.2 differ, nobody knows which one the writer meant, so it is refused."""

from __future__ import annotations

import re

from yaml.nodes import ScalarNode

_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+]?[0-9]+)?")
# Numbers of YAML 1.2 that are text in 1.1.
_NUMBER_OF_1_2 = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
_BOOLEANS = {"true": True, "false": False}


class Trap(Exception):
    """A scalar that two readers of YAML would understand differently."""

    def __init__(self, found: str, expected: str, hint: str) -> None:
        super().__init__(found)
        self.found, self.expected, self.hint = found, expected, hint


def scalar(node: ScalarNode) -> str | int | float | bool | None:
    """The value of `node`, of those that JSON has. Raises Trap."""
    text: str = node.value
    match node.tag.removeprefix(_TAG):
        case "str" if node.style is None and _NUMBER_OF_1_2.fullmatch(text):
            raise _trap("int", text)
        case "str" | "value":
            return text
        case "null":
            return None
        case "bool" if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        case "int" if _DECIMAL.fullmatch(text):
            return int(text) if len(text) <= 20 else text
        case "float" if _FRACTION.fullmatch(text):
            return float(text)
        case tag:
            raise _trap(tag, text)


def _trap(tag: str, text: str) -> Trap:
    quoted = f'Write "{text}" in quotes if it is text.'
    match tag:
        case "bool":
            return Trap(text, "true or false", f"YAML 1.1 reads {text} as a boolean. {quoted}")
        case "int" | "float" if ":" in text:
            return Trap(text, "a decimal number", f"YAML 1.1 reads {text} in base 60. {quoted}")
        case "int" | "float":
            return Trap(text, "a decimal number", f"Readers of YAML differ about {text}. {quoted}")
        case "timestamp":
            return Trap(text, "text or a number", f"YAML 1.1 reads {text} as a date. {quoted}")
        case _:
            return Trap("a tag", "a value without a tag", "Tags such as !!binary are not used in this file.")
