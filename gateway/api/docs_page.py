"""An OpenAPI document as a page for people: plain HTML and CSS, which asks for nothing else and runs no script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

from .docs_style import STYLE

# Any: JSON of several levels.
Json = Mapping[str, Any]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def docs_response(told: Callable[[], Json]) -> Response:
    return HTMLResponse(page_of(told()), headers=_HEADERS)


def page_of(document: Json) -> str:
    return "".join(_page(document))


def _page(document: Json) -> Iterator[str]:
    info = document["info"]
    title = escape(info["title"])
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{STYLE}</style></head><body><header><h1>{title}</h1>{_text(info.get('description', ''))}"
    yield f"<p>{_credentials(document)} For programs: <code>/openapi.json</code>.</p></header>"
    operations = [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]
    yield f"<nav>{''.join(_contents(document, operations))}</nav><main>"
    for path, method, operation in operations:
        yield from _operation(document, path, method, operation)
    yield "</main></body></html>\n"


def _credentials(document: Json) -> str:
    schemes = document["components"]["securitySchemes"].values()
    told = (f"<code>{escape(one.get('name', 'Authorization: Bearer'))}</code>" for one in schemes)
    return f"A call proves who makes it by {' or '.join(told)}."


def _contents(document: Json, operations: Iterable[tuple[str, str, Json]]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><ul>"
        for path, method, operation in operations:
            if tag["name"] in operation["tags"]:
                yield f'<li><a href="#{escape(operation["operationId"])}">{_call(method, path)}</a></li>'
        yield "</ul>"


def _operation(document: Json, path: str, method: str, operation: Json) -> Iterator[str]:
    yield f'<section id="{escape(operation["operationId"])}"><h2>{_call(method, path)}</h2>'
    yield f"<p>{_inline(operation['summary'])}. {_inline(operation.get('description', ''))}</p>"
    if operation["parameters"]:
        yield "<h3>Parameters</h3>"
        yield _table(_parameter(document, one) for one in operation["parameters"])
    if "requestBody" in operation:
        yield from _content(document, "Body", operation["requestBody"]["content"])
    for status, response in operation["responses"].items():
        if status < "300":
            yield from _content(document, f"{status}", response["content"])
    refusals = (
        (f"<code>{status}</code>", "", _inline(response["description"]))
        for status, response in operation["responses"].items()
        if status >= "300"
    )
    yield f"<details><summary>Refusals</summary>{_table(refusals)}</details></section>"


def _content(document: Json, title: str, content: Json) -> Iterator[str]:
    yield f"<h3>{escape(title)} <small>{escape(', '.join(content))}</small></h3>"
    told = next(iter(content.values()))
    rows = [*_fields(document, told["schema"])]
    if rows:
        yield _table(rows)
    if "example" in told:
        yield f"<pre>{escape(json.dumps(told['example'], indent=2, ensure_ascii=False))}</pre>"


def _parameter(document: Json, parameter: Json) -> tuple[str, str, str]:
    where = f"{parameter['in']}{', required' if parameter.get('required') else ''}"
    kind = f"{_kind(document, parameter['schema'])}<br><small>{escape(where)}</small>"
    return f"<code>{escape(parameter['name'])}</code>", kind, _inline(parameter.get("description", ""))


def _fields(document: Json, schema: Json) -> Iterator[tuple[str, str, str]]:
    whole = _resolved(document, schema)
    if "data" in whole.get("properties", {}) and "status_code" in whole["properties"]:
        # The operators' envelope, which is the same everywhere.
        whole = _resolved(document, whole["properties"]["data"])
    for name, field in whole.get("properties", {}).items():
        needed = "<br><small>required</small>" if name in whole.get("required", ()) else ""
        yield f"<code>{escape(name)}</code>", _kind(document, field) + needed, _inline(field.get("description", ""))


def _kind(document: Json, schema: Json) -> str:
    """In words, such as `text or null`."""
    told = _resolved(document, schema)
    if "enum" in told:
        return "one of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in told["enum"])
    if "const" in told:
        return f"<code>{escape(json.dumps(told['const']))}</code>"
    if "anyOf" in told:
        return " or ".join(_kind(document, one) for one in told["anyOf"])
    if told.get("type") == "array":
        return f"list of {_kind(document, told.get('items', {}))}"
    kind = _WORDS.get(told.get("type", ""), "any")
    return f"{kind}{_bounds(told)}"


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


def _bounds(schema: Json) -> str:
    low, high = (schema.get(f"{end}imum", schema.get(f"{end}Length")) for end in ("min", "max"))
    unit = " characters" if schema.get("type") == "string" else ""
    if low is None or high is None:
        bound = high if low is None else low
        return "" if bound is None else f", at {'most' if low is None else 'least'} {bound}{unit}"
    return f", {low} to {high}{unit}"


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _call(method: str, path: str) -> str:
    return f'<b class="{escape(method)}">{escape(method.upper())}</b> <code>{escape(path)}</code>'


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
