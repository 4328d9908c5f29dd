"""The whole state as JSON lines, one of them for each record.

{"kind": "tenantgate", "format": 1, "at": "2026-06-21T11:00:00Z", "orgs": ["main"], "sealed": "5f0c…"}
{"kind": "audit", "org": "main", "entry": {…}, "hash": "60303a…"}
{"kind": "org", "id": "main", "version": 1782039600000000, "record": {…}, "counters": {…}}
{"kind": "tenant", "id": "019e4ae7-…", "version": 1782039600000000, "record": {…}, "counters": {…}}
{"kind": "end", "tenants": 1}
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gateway.errors import INVALID_BODY, Refused
from gateway.ledger.carry import Carried
from gateway.registry.cipher import Cipher

MEDIA = "application/jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Head(_Line):
    """`sealed` is the id of the key that secrets are sealed with; None: they are left out."""

    kind: Literal["tenantgate"]
    format: Literal[1]
    at: str
    orgs: list[str]
    sealed: str | None


class AuditLine(_Line):
    kind: Literal["audit"]
    org: str
    entry: dict[str, object]
    hash: str


class OrgLine(_Line):
    kind: Literal["org"]
    id: str
    version: Annotated[int, Field(gt=0)]
    record: dict[str, object]
    counters: Carried


class TenantLine(_Line):
    kind: Literal["tenant"]
    id: UUID
    version: Annotated[int, Field(gt=0)]
    record: dict[str, object]
    counters: Carried


class End(_Line):
    kind: Literal["end"]
    tenants: int


Line = Head | AuditLine | OrgLine | TenantLine | End
LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def sealing(key: str | None) -> Cipher:
    """By the caller's key, 32 bytes in base64. Without one nothing is sealed: by a cipher that nobody has.

    Raises Refused(INVALID_BODY).
    """
    try:
        return Cipher(b64encode(os.urandom(32)).decode() if key is None else key)
    except ValueError:
        raise Refused(INVALID_BODY, "`X-Export-Key` has to be 32 bytes in base64: `openssl rand -base64 32`.") from None
