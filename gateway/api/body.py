"""What a request says, as validated models; every fault of the input is told at once, by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.errors import BAD_REQUEST, BODY_TOO_LARGE, INVALID_BODY, NOT_FOUND, Refused
from gateway.pipeline.strict_json import parse_json

MAX_BODY = 1 << 20
_MAX_ERRORS, _MAX_NAME = 20, 64

M = TypeVar("M", bound=BaseModel)
Place = Literal["body", "query"]
Pairs = Sequence[tuple[str, str]]
"""Query parameters as they were sent."""


async def content_of(request: Request) -> bytes:
    """Raises Refused: BODY_TOO_LARGE, BAD_REQUEST."""
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY:
                raise Refused(BODY_TOO_LARGE, f"The body may have {MAX_BODY} bytes.", headers=(("Connection", "close"),))
    except ClientDisconnect:
        raise Refused(BAD_REQUEST, "The body is incomplete.") from None
    return bytes(content)


def read_body(content: bytes, model: type[M]) -> M:
    """The body as `model`; an absent body counts as `{}`. Raises Refused: BAD_REQUEST, INVALID_BODY."""
    parsed = parse_json(content) if content else {}
    if not isinstance(parsed, dict):
        raise Refused(INVALID_BODY, "The body has to be a JSON object.", members={"errors": []})
    return _validate(model, parsed, "body")


def read_query(pairs: Pairs, model: type[M], path: Mapping[str, str]) -> M:
    """The query's parameters, and those of the path, as `model`.

    Raises Refused: INVALID_BODY, for one that occurs twice too, and NOT_FOUND where one of the path's can't name anything.
    """
    names = [name for name, _ in pairs]
    if doubled := {name: "occurs more than once" for name in names if names.count(name) > 1}:
        raise invalid(doubled, "query")
    if misplaced := {name: "is told by the path" for name in names if name in path}:
        raise invalid(misplaced, "query")
    return _validate(model, {**dict(pairs), **path}, "query", path)


def invalid(errors: Mapping[str, str], place: Place = "body") -> Refused:
    """The refusal of an input with these faults: a message by field."""
    return _refusal([(name, [name], message) for name, message in errors.items()], place)


def _refusal(faults: Sequence[tuple[str, Sequence[object], str]], place: Place) -> Refused:
    """Each fault is a field's name, the way to it in the body, and a message."""
    listed = []
    for field, way, message in faults[:_MAX_ERRORS]:
        where = {"pointer": _pointer(way)} if place == "body" else {"parameter": field[:_MAX_NAME]}
        listed.append({"field": field[:_MAX_NAME], **where, "message": message})
    first = "; ".join(f"{error['field']}: {error['message']}" for error in listed[:3])
    return Refused(INVALID_BODY, f"Invalid input. {first}.", members={"errors": listed})


def _pointer(way: Sequence[object]) -> str:
    """RFC 6901; empty: the whole body."""
    parts = (str(part)[:_MAX_NAME].replace("~", "~0").replace("/", "~1") for part in way)
    return "".join(f"/{part}" for part in parts)


def _validate(model: type[M], values: Mapping[str, object], place: Place, path: Mapping[str, str] = MappingProxyType({})) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        faults: dict[str, tuple[str, list[object], str]] = {}
        for error in fault.errors(include_url=False, include_input=False, include_context=False):
            way: list[object] = [part for part in error["loc"] if part != "[key]"]
            field = ".".join(map(str, way)) or place
            if field in path:
                raise Refused(NOT_FOUND) from None
            faults.setdefault(field, (field, way, error["msg"].removeprefix("Value error, ")))
        # Without its cause: pydantic's error holds the input.
        raise _refusal(list(faults.values()), place) from None
