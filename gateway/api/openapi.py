"""The OpenAPI 3.1 document of an API, made of the declarations that serve it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway.errors import IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, PRECONDITION_FAILED, Problem

from .endpoint import Endpoint
from .parameters import Nothing
from .transfer.lines import MEDIA

Schema = dict[str, Any]
"""Any: JSON of several levels."""

_VERSION = "1"
"""Of the APIs: what stands in their paths."""

_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sent again with the same key within 24 hours, the same request is answered again, and not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_EXPORT_KEY: Schema = {
    "name": "X-Export-Key",
    "in": "header",
    "description": "32 bytes in base64. What is written down has its secrets sealed with it; without it they are left out.",
    "schema": {"type": "string"},
}
_IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "description": "An `ETag` that was shown before: the change is made only if nobody else has made one since.",
    "schema": {"type": "string"},
}
_ETAG: Schema = {"description": "For `If-Match` of a later change.", "schema": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Section:
    """Endpoints that are served below `base`; `public`: to everybody."""

    title: str
    base: str
    endpoints: Sequence[Endpoint]
    public: bool = False


@dataclass(frozen=True, slots=True)
class Api:
    """What is the same for all endpoints of an API: how a caller proves who it is, `problems` that every call may meet, and the
    schema of a refusal, of the type `problem_media`. `enveloped`: an answer stands below `data`."""

    title: str
    description: str
    security: Mapping[str, Schema]
    problems: tuple[Problem, ...]
    refusal: Schema
    problem_media: str = "application/problem+json"
    enveloped: bool = False
    headers: Mapping[str, Schema] = field(default_factory=dict)


def document(api: Api, sections: Iterable[Section]) -> Mapping[str, object]:
    """Raises ValueError where two endpoints have the same name."""
    listed = list(sections)
    endpoints = [endpoint for section in listed for endpoint in section.endpoints]
    names = [endpoint.name for endpoint in endpoints]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two endpoints are named {', '.join(sorted(twice))}")
    models = _Models(endpoints)
    paths: dict[str, Schema] = {}
    for section in listed:
        for endpoint in section.endpoints:
            item = paths.setdefault(section.base + endpoint.path, {})
            item[endpoint.method.lower()] = _operation(api, section, endpoint, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": _VERSION, "description": api.description},
        "tags": [{"name": section.title} for section in listed],
        "paths": paths,
        "components": {
            "schemas": {**models.schemas(), "Refusal": api.refusal},
            "securitySchemes": dict(api.security),
        },
    }


class _Models:
    """The schemas of all models, each under one name."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
        for endpoint in endpoints:
            wanted |= dict.fromkeys(
                ((endpoint.parameters, "validation"), (endpoint.body, "validation"), (endpoint.answer, "serialization"))
            )
        self._refs, told = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
        self._definitions: dict[str, Schema] = told.get("$defs", {})
        self._parameters = {self._name(model) for model, _ in wanted if any(one.parameters is model for one in endpoints)}

    def ref(self, model: type[BaseModel], mode: JsonSchemaMode) -> Schema:
        return dict(self._refs[model, mode])

    def parameters(self, model: type[BaseModel]) -> Schema:
        """Schemas by name."""
        properties: Schema = self._definitions[self._name(model)].get("properties", {})
        return properties

    def required(self, model: type[BaseModel]) -> Sequence[str]:
        required: Sequence[str] = self._definitions[self._name(model)].get("required", ())
        return required

    def schemas(self) -> dict[str, Schema]:
        """Those that the document refers to."""
        return {name: _plain(schema) for name, schema in self._definitions.items() if name not in self._parameters}

    def _name(self, model: type[BaseModel]) -> str:
        return str(self._refs[model, "validation"]["$ref"]).rpartition("/")[2]


def _plain(schema: Schema) -> Schema:
    """Without titles that repeat the names. What is absent has no value, so there are no defaults either."""
    told = {name: value for name, value in schema.items() if name != "title"}
    if "properties" in told:
        told["properties"] = {
            name: {word: value for word, value in one.items() if word not in ("title", "default")}
            for name, one in told["properties"].items()
        }
    return told


def _operation(api: Api, section: Section, endpoint: Endpoint, models: _Models) -> Schema:
    operation: Schema = {
        "operationId": endpoint.name,
        "tags": [section.title],
        "summary": endpoint.summary,
        "parameters": [*_parameters(endpoint, models), *_headers(endpoint)],
        "responses": {str(endpoint.status): _answer(api, endpoint, models), **_refusals(api, endpoint)},
        "security": [] if section.public else [{name: []} for name in api.security],
    }
    if endpoint.scope is not None or endpoint.platform_only is not None:
        operation["description"] = _right(endpoint)
    if endpoint.transfer and endpoint.method == "POST":
        operation["requestBody"] = {"required": True, "content": {MEDIA: {"schema": {"type": "string"}}}}
    elif endpoint.body is not Nothing:
        content: Schema = {"schema": models.ref(endpoint.body, "validation")}
        if endpoint.example.body is not None:
            content["example"] = endpoint.example.body
        # An absent body counts as `{}`.
        needed = bool(models.required(endpoint.body))
        operation["requestBody"] = {"required": needed, "content": {"application/json": content}}
    return operation


def _right(endpoint: Endpoint) -> str:
    scope = "" if endpoint.scope is None else f"Needs the scope `{endpoint.scope}`."
    return f"{scope} {'' if endpoint.platform_only is None else 'Only with a key of the platform.'}".strip()


def _parameters(endpoint: Endpoint, models: _Models) -> Iterable[Schema]:
    required = models.required(endpoint.parameters)
    for name, schema in models.parameters(endpoint.parameters).items():
        in_path = f"{{{name}}}" in endpoint.path
        parameter: Schema = {"name": name, "in": "path" if in_path else "query", "schema": _without_null(schema)}
        if in_path or name in required:
            parameter["required"] = True
        if "description" in schema:
            parameter["description"] = schema["description"]
        if name in endpoint.example.parameters:
            parameter["example"] = endpoint.example.parameters[name]
        yield parameter


def _without_null(schema: Schema) -> Schema:
    """An absent parameter is no null: it can't be sent."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    told = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "title", "description")}
    if len(kinds) == 1:
        return {**told, **kinds[0]}
    return {**told, **({"anyOf": kinds} if kinds else {}), **({"default": schema["default"]} if schema.get("default") else {})}


def _headers(endpoint: Endpoint) -> Iterable[Schema]:
    if endpoint.transfer:
        yield _EXPORT_KEY
    elif endpoint.method == "POST":
        yield _IDEMPOTENCY_KEY
    if PRECONDITION_FAILED in endpoint.errors:
        yield _IF_MATCH


def _answer(api: Api, endpoint: Endpoint, models: _Models) -> Schema:
    schema, shown = models.ref(endpoint.answer, "serialization"), endpoint.example.shown
    if api.enveloped:
        properties = {"status_code": {"const": endpoint.status}, "data": schema, "message": {"type": "string"}}
        schema = {"type": "object", "required": [*properties], "properties": properties}
        shown = {"status_code": endpoint.status, "data": shown, "message": f"{endpoint.summary}."}
    # A type of JSON's own is that of the document.
    json = next((media for media in endpoint.media if media.endswith("+json")), "application/json")
    content: Schema = {media: {"schema": {"type": "string"}} for media in endpoint.media}
    if endpoint.answer is not Nothing:
        content = {
            json: {"schema": schema, "example": shown},
            **{media: one for media, one in content.items() if media != json},
        }
    answer: Schema = {"description": endpoint.summary, "content": content, "headers": dict(api.headers)}
    if endpoint.tagged:
        answer["headers"]["ETag"] = _ETAG
    return answer


def _refusals(api: Api, endpoint: Endpoint) -> Schema:
    by_status: dict[int, list[Problem]] = {}
    for problem in dict.fromkeys((*api.problems, *_special(endpoint))):
        by_status.setdefault(problem.status, []).append(problem)
    return {str(status): _refusal(api, problems) for status, problems in sorted(by_status.items())}


def _special(endpoint: Endpoint) -> Iterable[Problem]:
    yield from endpoint.errors
    if endpoint.platform_only is not None:
        yield endpoint.platform_only
    if endpoint.method == "POST" and not endpoint.transfer:
        yield from (IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED)


def _refusal(api: Api, problems: Sequence[Problem]) -> Schema:
    codes = {"properties": {"code": {"enum": [problem.code for problem in problems]}}}
    return {
        "description": " ".join(f"`{problem.code}`: {problem.title}." for problem in problems),
        "content": {api.problem_media: {"schema": {"allOf": [{"$ref": "#/components/schemas/Refusal"}, codes]}}},
    }
