"""A request's body and query as validated models; every fault of the input is told at once, by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.errors import BAD_REQUEST, BODY_TOO_LARGE, INVALID_BODY, Refused

MAX_BODY = 1 << 20
_MAX_ERRORS, _MAX_NAME = 20, 64

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """The body as `model`; an absent body counts as `{}`. Raises Refused: BODY_TOO_LARGE, BAD_REQUEST, INVALID_BODY."""
    content = _parse(await _content(request))
    if not isinstance(content, dict):
        raise Refused(INVALID_BODY, "The body has to be a JSON object.", members={"errors": []})
    return _validate(model, content)


def read_query(request: Request, model: type[M]) -> M:
    """The query's parameters as `model`. Raises Refused(INVALID_BODY), for a parameter that occurs twice too."""
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise invalid({name: "occurs more than once" for name in values if names.count(name) > 1})
    return _validate(model, values)


def invalid(errors: Mapping[str, str]) -> Refused:
    """The refusal of an input with these faults: a message by field."""
    listed = [{"field": field[:_MAX_NAME], "message": message} for field, message in list(errors.items())[:_MAX_ERRORS]]
    first = "; ".join(f"{error['field']}: {error['message']}" for error in listed[:3])
    return Refused(INVALID_BODY, f"Invalid input. {first}.", members={"errors": listed})


def _validate(model: type[M], values: Mapping[str, object]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        errors: dict[str, str] = {}
        for error in fault.errors(include_url=False, include_input=False, include_context=False):
            field = ".".join(str(part) for part in error["loc"] if part != "[key]") or "body"
            errors.setdefault(field, error["msg"].removeprefix("Value error, "))
        # Without its cause: pydantic's error holds the input.
        raise invalid(errors) from None


async def _content(request: Request) -> bytes:
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY:
                raise Refused(BODY_TOO_LARGE, f"The body may have {MAX_BODY} bytes.", headers=(("Connection", "close"),))
    except ClientDisconnect:
        raise Refused(BAD_REQUEST, "The body is incomplete.") from None
    return bytes(content)


def _parse(content: bytes) -> object:
    if not content:
        return {}
    try:
        parsed: object = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        # A lone surrogate is JSON, but no text: it could be neither stored nor answered.
        json.dumps(parsed, ensure_ascii=False).encode()
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise Refused(BAD_REQUEST, f"The body is not JSON: {fault.msg} at {where}.") from None
    except UnicodeError:
        raise Refused(BAD_REQUEST, "The body is not JSON in UTF-8.") from None
    except _NotStrict as fault:
        raise Refused(BAD_REQUEST, f"The body is not strict JSON: {fault}.") from None
    except (ValueError, RecursionError):
        raise Refused(BAD_REQUEST, "The body is not JSON that can be read: too deep, or a number too long.") from None
    return parsed


class _NotStrict(Exception):
    """What Python reads and RFC 8259 leaves open or forbids."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrict("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise _NotStrict(f"{name} is no JSON value")
