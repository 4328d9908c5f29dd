"""The operator API's calls for the whole state: written down, and put back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.api.transfer.export import Export
from gateway.api.transfer.lines import MEDIA, sealing
from gateway.api.transfer.read import Import


class From(Input):
    after: Annotated[TenantId | None, Field(description="Only tenants that were made after this one.")] = None


class ConflictShown(Shape):
    line: int
    reason: str


class ImportShown(Shape):
    """What has become of the lines of an export."""

    restored: int
    present: int
    """They were there already, and as they are told."""
    conflicting: int
    """They were not restored."""
    conflicts: list[ConflictShown]
    """The first hundred of those."""
    complete: bool
    """The end of the export was there."""


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def export(self, asked: Asked[From, Nothing]) -> Response:
        parts, transfer, after = self._parts, asked.require_transfer(), asked.parameters.after
        cipher = sealing(transfer.key)
        if after is not None and not await parts.dump.knows(after):
            raise invalid({"after": "no tenant has this id"}, "query")
        export = Export(parts.dump, parts.carry, cipher, secrets=transfer.key is not None)
        return StreamingResponse(export.lines(timestamp(parts.clock.now()), after), media_type=MEDIA)

    async def take(self, asked: Asked[Nothing, Nothing]) -> Answered:
        parts, transfer = self._parts, asked.require_transfer()
        cipher = sealing(transfer.key)
        restore = parts.restore.by(asked.caller.actor)
        report = await Import(restore, parts.carry, cipher, keyed=transfer.key is not None).read(transfer.content)
        told = f"{report.restored} lines were restored, {report.present} were there, {report.conflicting} can't be."
        return Answered(vars(report), told)


def transfer_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "GET",
            "/export",
            calls.export,
            name="exportState",
            summary="Write the whole state down, as JSON lines",
            parameters=From,
            body=Nothing,
            answer=Nothing,
            example=Example({}, parameters={"after": "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f"}),
            media=(MEDIA,),
            transfer=True,
        ),
        endpoint(
            "POST",
            "/import",
            calls.take,
            name="importState",
            summary="Put a state back that was exported",
            parameters=Nothing,
            body=Nothing,
            answer=ImportShown,
            example=Example({"restored": 12, "present": 0, "conflicting": 0, "conflicts": [], "complete": True}),
            transfer=True,
        ),
    )
