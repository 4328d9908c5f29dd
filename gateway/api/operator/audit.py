"""The operator API's calls about the audit trail: search it, and check that it is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, Number, TenantId
from gateway.api.parts import Parts
from gateway.registry.audit_entry import ACTIONS, Entry, tenant_of
from gateway.registry.audit_verify import verify

from . import examples
from .answers import EntriesShown, TrailShown

_MAX_PAGE = 500


def _action(name: str) -> str:
    if name not in ACTIONS:
        raise ValueError(f"must be one of: {', '.join(ACTIONS)}")
    return name


class Trail(Input):
    """Which organization's; absent, that of the default one."""

    org: str | None = None


class Search(Trail):
    tenant_id: TenantId | None = None
    action: Annotated[str, AfterValidator(_action)] | None = None
    limit: Annotated[int, Number, Field(ge=1, le=_MAX_PAGE)] = 100
    before: Annotated[int, Number, Field(ge=1)] | None = None


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._audit, self._orgs = parts.audit, tuple(parts.orgs)

    async def fetch(self, asked: Asked[Search, Nothing]) -> Answered:
        search = asked.parameters
        page = await self._audit.search(self._org(search), search.limit, search.before, _matching(search))
        entries = [{**entry.fields(), "hash": entry.hash} for entry in page.entries]
        return Answered({"entries": entries, "next_before": page.before}, "Audit entries fetched.")

    async def check(self, asked: Asked[Trail, Nothing]) -> Answered:
        org = self._org(asked.parameters)
        verdict = await verify(self._audit, org)
        shown = {
            "org": org,
            "intact": verdict.broken is None,
            "first_seq": verdict.first,
            "last_seq": verdict.last,
            "head": verdict.head,
            "broken_seq": verdict.broken,
            "fault": verdict.fault or None,
        }
        return Answered(shown, "The trail is intact." if verdict.broken is None else "The trail is broken.")

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
            example=Example(examples.ENTRIES, parameters={"action": "tenant.suspended"}),
        ),
        endpoint(
            "GET",
            "/verify/audit",
            calls.check,
            name="verifyAudit",
            summary="Check that an audit trail is as it was written",
            parameters=Trail,
            body=Nothing,
            answer=TrailShown,
            example=Example(examples.TRAIL),
        ),
    )


def _matching(asked: Search) -> Callable[[Entry], bool] | None:
    if asked.tenant_id is None and asked.action is None:
        return None

    def match(entry: Entry) -> bool:
        fields = entry.fields()
        return asked.action in (None, fields["action"]) and asked.tenant_id in (None, tenant_of(fields))

    return match
