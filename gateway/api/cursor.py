"""Lists in pages: the newest first, continued from where the page before has ended, whatever was added meanwhile."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from .parameters import Input, Number

T = TypeVar("T")

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


class Paged(Input):
    """Parameters of every list."""

    limit: Annotated[int, Number, Field(ge=1, le=_MAX_PAGE, description="How many at most.")] = _PAGE
    cursor: Annotated[Cursor | None, Field(description="`next_cursor` of the page before.")] = None


class Listed(BaseModel, Generic[T]):
    """A page of a list, the newest first."""

    data: list[T]
    next_cursor: Annotated[str | None, Field(description="Where the list goes on; null at its end.")]
