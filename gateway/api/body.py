"""A request's body and query as validated models; every fault of the input is told at once, by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.errors import BAD_REQUEST, BODY_TOO_LARGE, INVALID_BODY, Refused
from gateway.pipeline.strict_json import parse_json

MAX_BODY = 1 << 20
_MAX_ERRORS, _MAX_NAME = 20, 64

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """The body as `model`; an absent body counts as `{}`. Raises Refused: BODY_TOO_LARGE, BAD_REQUEST, INVALID_BODY."""
    sent = await _content(request)
    content = parse_json(sent) if sent else {}
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
