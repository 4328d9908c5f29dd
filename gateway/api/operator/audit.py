"""The operator API's calls about the audit trail: search it, check that it is whole, and take it elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, Number
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
from gateway.registry.audit_verify import verify

from .answers import EntriesShown

_MAX_PAGE = 500


class Trail(Input):
    """Which organization's; absent, that of the default one."""

    org: str | None = None


class Search(Trail, Sought):
    limit: Annotated[int, Number, Field(ge=1, le=_MAX_PAGE)] = 100
    before: Annotated[int, Number, Field(ge=1)] | None = None


class TrailAfter(Trail, After):
    pass


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._audit, self._orgs = parts.audit, tuple(parts.orgs)

    async def fetch(self, asked: Asked[Search, Nothing]) -> Answered:
        search = asked.parameters
        page = await self._audit.search(self._org(search), search.limit, search.before, matching(search))
        entries = [entry_shown(entry) for entry in page.entries]
        return Answered({"entries": entries, "next_before": page.before}, "Audit entries fetched.")

    async def check(self, asked: Asked[Trail, Nothing]) -> Answered:
        org = self._org(asked.parameters)
        verdict = await verify(self._audit, org)
        told = "The trail is intact." if verdict.broken is None else "The trail is broken."
        return Answered(verdict_shown(org, verdict), told)

    async def export(self, asked: Asked[TrailAfter, Nothing]) -> Pieces:
        return export(self._audit, self._org(asked.parameters), asked.parameters.after)

    def _org(self, trail: Trail) -> str:
        org = self._orgs[0] if trail.org is None else trail.org
        if org not in self._orgs:
            raise invalid({"org": f"must be one of: {', '.join(self._orgs)}"}, "query")
        return org


def audit_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "GET",
            "/fetch/audit",
            calls.fetch,
            name="fetchAudit",
            summary="Search an organization's audit trail, the newest entries first",
            parameters=Search,
            body=Nothing,
            answer=EntriesShown,
            example=Example({"entries": [EXAMPLE_ENTRY], "next_before": None}, parameters={"action": "tenant.suspended"}),
        ),
        endpoint(
            "GET",
            "/verify/audit",
            calls.check,
            name="verifyAudit",
            summary="Check that an audit trail is as it was written",
            parameters=Trail,
            body=Nothing,
            answer=VerdictShown,
            example=Example(EXAMPLE_VERDICT),
        ),
        endpoint(
            "GET",
            "/export/audit",
            calls.export,
            name="exportAudit",
            summary="Read an audit trail, the oldest entry first, one to a line",
            parameters=TrailAfter,
            body=Nothing,
            answer=EntryShown,
            media=(JSON_LINES,),
            example=Example(EXAMPLE_ENTRY, parameters={"after": "41"}),
        ),
    )
