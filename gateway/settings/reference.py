"""The tables of docs/configuration.md, out of the models. `python -m gateway.settings.reference` writes them anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from .json_schema import Schema, json_schema
from .policies import builtin_policies, find_policy, policy_doc
from .units import DURATION_PATTERN, SIZE_PATTERN

PAGE = Path("docs/configuration.md")
_GENERATED = re.compile(r"(<!-- generated: (?P<part>keys|policies) -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {"integer": "whole number", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}


def rewritten(page: str) -> str:
    """`page` with its generated parts as they should be."""
    parts = {"keys": "\n".join(_keys()), "policies": "\n".join(_policies())}
    return _GENERATED.sub(lambda match: f"{match[1]}\n{parts[match['part']]}\n{match[3]}", page)


def _keys() -> Iterator[str]:
    root = json_schema()
    definitions = cast(Mapping[str, Schema], root["$defs"])
    yield from _section("", root, definitions)


def _section(path: str, schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[str]:
    """The table of one mapping, then those of the mappings in it."""
    if path:
        yield f"### {path}\n"
    yield from _table(schema)
    yield ""
    for name, value in _properties(schema).items():
        step, inner = _inner(f"{path}.{name}" if path else name, value, definitions)
        if "properties" in inner:
            yield from _section(step, inner, definitions)


def _inner(path: str, schema: Schema, definitions: Mapping[str, Schema]) -> tuple[str, Schema]:
    """The mapping that `schema` leads to through references, lists and names of the writer's choice."""
    if "$ref" in schema:
        return _inner(path, definitions[_target(schema)], definitions)
    if "items" in schema:
        return _inner(f"{path}[]", cast(Schema, schema["items"]), definitions)
    if "patternProperties" in schema and "properties" not in schema:
        return _inner(f"{path}.<name>", _only(schema["patternProperties"]), definitions)
    return path, schema


def _policies() -> Iterator[str]:
    entry = cast(Mapping[str, Schema], json_schema()["$defs"])["PolicyEntry"]
    configs = next(_properties(form) for form in cast(list[Schema], entry["anyOf"]) if "properties" in form)
    ordered = sorted(builtin_policies(), key=lambda name: (find_policy(name).phase, name))
    for name in ordered:
        policy = find_policy(name)
        yield f"### {name}\n"
        yield f"Phase {policy.phase.value}, {policy.phase.name.lower()}. {policy_doc(policy)}\n"
        if _properties(configs[name]):
            yield from _table(configs[name])
            yield ""


def _table(schema: Schema) -> Iterator[str]:
    required = cast(list[str], schema.get("required", []))
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, value in _properties(schema).items():
        default = "required" if name in required else _default(value)
        yield f"| `{name}` | {_cell(_kind(value))} | {default} | {_cell(str(value.get('description', '')))} |"


def _kind(schema: Schema) -> str:
    """What may be written there, in words."""
    match schema:
        case {"$ref": _}:
            return "keys"
        case {"anyOf": list() as forms}:
            return " or ".join(dict.fromkeys(_kind(form) for form in forms if form != {"$ref": "#/$defs/Interpolated"}))
        case {"enum": list() as values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"pattern": pattern} if pattern in (DURATION_PATTERN, SIZE_PATTERN):
            return "duration" if pattern == DURATION_PATTERN else "size"
        case {"items": dict() as item}:
            return {"#/$defs/PolicyEntry": "list of policies"}.get(str(item.get("$ref")), f"list of {_kind(item)}")
        case {"patternProperties": entries}:
            return f"{_kind(_only(entries))} by name"
        case {"writeOnly": True}:
            return "secret"
        case {"type": str() as kind}:
            return _KINDS.get(kind, kind)
        case _:
            return "text"


def _default(schema: Schema) -> str:
    if "$ref" in schema:
        return "see below"
    default = schema.get("default")
    if default in ("", [], {}, None):
        return "none"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _properties(schema: Schema) -> Mapping[str, Schema]:
    return cast(Mapping[str, Schema], schema.get("properties", {}))


def _only(entries: object) -> Schema:
    return next(iter(cast(Mapping[str, Schema], entries).values()))


def _target(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
