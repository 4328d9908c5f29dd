"""What the operator API takes beside a tenant's fields: the query's parameters, and small bodies."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gateway.tenancy.ids import parse_id

from .tenant_fields import Text

_MAX_GRACE, _MAX_PAGE, _MOST = 86400, 500, 1_000_000_000


def _tenant_id(text: object) -> object:
    parsed = parse_id("tnt", text) if isinstance(text, str) else None
    if parsed is None:
        raise ValueError("must be a tenant id: a UUID in lower case, or its form tnt_…")
    return parsed


def _whole_number(text: object) -> object:
    # Python's int() takes more: signs, spaces, underscores, digits of other scripts.
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("must be a whole number")
    return int(text)


Number = BeforeValidator(_whole_number)
_ID_SCHEMA = {"type": "string", "description": "A UUID, or its form `tnt_…`."}
TenantId = Annotated[UUID, BeforeValidator(_tenant_id), WithJsonSchema(_ID_SCHEMA)]


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(Input):
    """The body or the query of a call that takes none."""


class ById(Input):
    tenant_id: TenantId


class Rotation(ById):
    grace_seconds: Annotated[int, Number, Field(ge=0, le=_MAX_GRACE)] = 0


class Reason(Input):
    reason: Text | None = None


class Suspension(ById, Reason):
    pass


class Counted(Input):
    resource: Text
    count: Annotated[int, Field(strict=True, ge=0, le=_MOST)]


class Page(Input):
    limit: Annotated[int, Number, Field(ge=1, le=_MAX_PAGE)] = 100
    offset: Annotated[int, Number, Field(ge=0)] = 0
