"""`audit`: who changed what in an organization, for its platform."""

from __future__ import annotations

import re

from gateway.api.cursor import Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Nothing
from gateway.api.parts import Parts
from gateway.api.pieces import Pieces
from gateway.api.trail import (
    EXAMPLE_ENTRY,
    EXAMPLE_VERDICT,
    JSON_LINES,
    After,
    EntryShown,
    Sought,
    VerdictShown,
    entry_shown,
    export,
    matching,
    verdict_shown,
)
from gateway.errors import PLATFORM_ONLY
from gateway.registry.audit_verify import verify

_SEQ = re.compile(r"[1-9][0-9]{0,14}")


class Search(Sought, Paged):
    pass


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._audit = parts.audit

    async def list(self, asked: Asked[Search, Nothing]) -> Answered:
        wanted = asked.parameters
        below = position_of(wanted.cursor, _SEQ)
        before = None if below is None else int(below[0])
        found = await self._audit.search(asked.caller.require_org(), wanted.limit, before, matching(wanted))
        end = None if found.before is None else (str(found.before),)
        return Answered(page([entry_shown(entry) for entry in found.entries], end))

    async def verify(self, asked: Asked[Nothing, Nothing]) -> Answered:
        org = asked.caller.require_org()
        return Answered(verdict_shown(org, await verify(self._audit, org)))

    async def export(self, asked: Asked[After, Nothing]) -> Pieces:
        return export(self._audit, asked.caller.require_org(), asked.parameters.after)


def audit_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "GET",
            "",
            calls.list,
            name="listAudit",
            summary="Search the audit trail, the newest entries first",
            parameters=Search,
            body=Nothing,
            answer=listed(EntryShown),
            scope="read:audit",
            platform_only=PLATFORM_ONLY,
            example=Example({"data": [EXAMPLE_ENTRY], "next_cursor": None}, parameters={"action": "tenant.suspended"}),
        ),
        endpoint(
            "GET",
            "/verify",
            calls.verify,
            name="verifyAudit",
            summary="Check that the audit trail is as it was written",
            parameters=Nothing,
            body=Nothing,
            answer=VerdictShown,
            scope="read:audit",
            platform_only=PLATFORM_ONLY,
            example=Example(EXAMPLE_VERDICT),
        ),
        endpoint(
            "GET",
            "/export",
            calls.export,
            name="exportAudit",
            summary="Read the audit trail, the oldest entry first, one to a line",
            parameters=After,
            body=Nothing,
            answer=EntryShown,
            scope="read:audit",
            platform_only=PLATFORM_ONLY,
            media=(JSON_LINES,),
            example=Example(EXAMPLE_ENTRY, parameters={"after": "41"}),
        ),
    )
