"""Lists in pages: the newest first, continued from where the page before has ended, whatever was added meanwhile."""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, create_model

from .body import invalid
from .parameters import Input, Number
from .shape import Shape

SCORE = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,2})?")
"""Of a sorted set, as the store writes it."""
UUID_FORM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_MAX_CURSOR, _MAX_PAGE, _PAGE = 512, 100, 20

Position = tuple[str, ...]
"""Where a list goes on, in words of that list alone."""


def write_cursor(position: Sequence[str]) -> str:
    """Opaque to callers, who have no business in it; it holds nothing that they have not seen."""
    return urlsafe_b64encode(json.dumps(list(position), separators=(",", ":")).encode()).decode().rstrip("=")


def _read_cursor(text: object) -> Position:
    try:
        if not isinstance(text, str) or len(text) > _MAX_CURSOR:
            raise ValueError
        position = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        if not isinstance(position, list) or not all(isinstance(part, str) for part in position):
            raise ValueError
    except (ValueError, binascii.Error, RecursionError):
        raise ValueError("is no cursor that a list has given") from None
    return tuple(position)


Cursor = Annotated[Position, BeforeValidator(_read_cursor), WithJsonSchema({"type": "string", "maxLength": _MAX_CURSOR})]


def position_of(cursor: Position | None, *forms: re.Pattern[str]) -> Position | None:
    """The cursor of a list whose positions have these parts. Raises Refused(INVALID_BODY) where it is of another list."""
    if cursor is None:
        return None
    if len(cursor) != len(forms) or not all(form.fullmatch(part) for form, part in zip(forms, cursor, strict=True)):
        raise invalid({"cursor": "is no cursor of this list"}, "query")
    return cursor


class Paged(Input):
    """Parameters of every list."""

    limit: Annotated[int, Number, Field(ge=1, le=_MAX_PAGE, description="How many at most.")] = _PAGE
    cursor: Annotated[Cursor | None, Field(description="`next_cursor` of the page before.")] = None


def listed(shown: type[BaseModel]) -> type[BaseModel]:
    """The model of a page of a list."""
    end = Annotated[str | None, Field(description="Where the list goes on; null at its end.")]
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = {"data": (list[shown], ...), "next_cursor": (end, ...)}  # type: ignore[valid-type]  # made at run time
    return create_model(f"{shown.__name__}List", __base__=Shape, **fields)


def page(shown: Sequence[Mapping[str, object]], end: Sequence[str] | None) -> Mapping[str, object]:
    """`end` is the position of the last one, where the list goes on."""
    return {"data": shown, "next_cursor": None if end is None else write_cursor(end)}
