"""The JSON Schema (2020-12) of gateway.yaml as it is written: with units as text, policies by name, and `${…}` anywhere."""

from __future__ import annotations

import json
from typing import cast

from .policies import builtin_policies, find_policy, policy_doc
from .schema import Settings
from .units import DURATION_PATTERN, SIZE_PATTERN, duration_text, size_text

Schema = dict[str, object]

_INTERPOLATED: Schema = {"type": "string", "pattern": r"\$\{[^{}]+\}", "description": "A value that is put in at start."}
_DOTTED = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"
_ANNOTATIONS = ("description", "default", "examples", "title")


def json_schema() -> Schema:
    """Raises PolicyNotFound where a policy of the gateway is no policy."""
    root = cast(Schema, Settings.model_json_schema())
    definitions = cast(dict[str, Schema], root.pop("$defs"))
    definitions["PolicyEntry"] = _policy_entry(definitions)
    written: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml",
        **cast(Schema, _written(root)),
        "$defs": {name: _written(definitions[name]) for name in sorted(definitions)} | {"Interpolated": _INTERPOLATED},
    }
    return written


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _policy_entry(definitions: dict[str, Schema]) -> Schema:
    """A policy's name, or a mapping of that one name to its keys. A policy that has a required key needs the mapping."""
    configs: dict[str, Schema] = {}
    bare: list[str] = []
    for name in builtin_policies():
        policy = find_policy(name)
        config = cast(Schema, policy.Config.model_json_schema(ref_template="#/$defs/{model}"))
        definitions |= cast(dict[str, Schema], config.pop("$defs", {}))
        configs[name] = {**config, "description": policy_doc(policy)}
        if not config.get("required"):
            bare.append(name)
    return {
        "description": "A policy, by its name or by the dotted path of its class; keys stand below the name.",
        "anyOf": [
            {"enum": bare},
            {"type": "string", "pattern": _DOTTED},
            {
                "type": "object",
                "properties": {name: _nullable(config, name in bare) for name, config in configs.items()},
                "patternProperties": {_DOTTED: {"type": ["object", "null"]}},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ],
    }


def _nullable(config: Schema, may_be_empty: bool) -> Schema:
    return {**config, "type": ["object", "null"]} if may_be_empty else config


def _written(node: object, *, key: str = "") -> object:
    """`node` as it is for the text of a file: values may be interpolated; names of keys may not."""
    if isinstance(node, list):
        return [_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    if key in ("properties", "patternProperties"):
        return {name: _written(item) for name, item in node.items()}
    schema = {name: item for name, item in node.items() if name != "title"}
    if "default" in schema:
        schema["default"] = _default(schema)
        if isinstance(schema["default"], dict) and "$ref" in schema:
            del schema["default"]  # Its own keys tell theirs.
    if "patternProperties" in schema:
        schema.setdefault("additionalProperties", False)
    if _is_scalar(schema):
        outer = {name: schema.pop(name) for name in _ANNOTATIONS if name in schema}
        return {**outer, "anyOf": [schema, {"$ref": "#/$defs/Interpolated"}]}
    return {name: item if name == "default" else _written(item, key=name) for name, item in schema.items()}


def _is_scalar(schema: Schema) -> bool:
    """Whether it is a scalar that some text with `${…}` would not fit already."""
    if "enum" in schema or "const" in schema:
        return True
    return schema.get("type") in ("integer", "number", "boolean") or (schema.get("type") == "string" and "pattern" in schema)


def _default(schema: Schema) -> object:
    default = schema["default"]
    if isinstance(default, int | float) and schema.get("pattern") == DURATION_PATTERN:
        return duration_text(default)
    if isinstance(default, int) and schema.get("pattern") == SIZE_PATTERN:
        return size_text(default)
    return default
