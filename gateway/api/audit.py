"""The operator API's calls about the audit trail: search it, and check that it is whole."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.registry.audit import Audit
from gateway.registry.audit_entry import ACTIONS, Entry, tenant_of
from gateway.registry.audit_verify import verify

from .body import invalid, read_query
from .envelope import success
from .parameters import Input, Number, TenantId

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


def audit_routes(audit: Audit, orgs: Collection[str]) -> list[Route]:
    """The first of `orgs` is the default one."""

    def org_of(trail: Trail) -> str:
        org = next(iter(orgs)) if trail.org is None else trail.org
        if org not in orgs:
            raise invalid({"org": f"must be one of: {', '.join(orgs)}"})
        return org

    async def fetch(request: Request) -> Response:
        asked = read_query(request, Search)
        page = await audit.search(org_of(asked), asked.limit, asked.before, _matching(asked))
        data = {"entries": [{**entry.fields(), "hash": entry.hash} for entry in page.entries], "next_before": page.before}
        return success(data, "Audit entries fetched.")

    async def check(request: Request) -> Response:
        org = org_of(read_query(request, Trail))
        verdict = await verify(audit, org)
        data = {
            "org": org,
            "intact": verdict.broken is None,
            "first_seq": verdict.first,
            "last_seq": verdict.last,
            "head": verdict.head,
            "broken_seq": verdict.broken,
            "fault": verdict.fault or None,
        }
        return success(data, "The trail is intact." if verdict.broken is None else "The trail is broken.")

    return [Route("/fetch/audit", fetch, methods=["GET"]), Route("/verify/audit", check, methods=["GET"])]


def _matching(asked: Search) -> Callable[[Entry], bool] | None:
    if asked.tenant_id is None and asked.action is None:
        return None

    def match(entry: Entry) -> bool:
        fields = entry.fields()
        return asked.action in (None, fields["action"]) and asked.tenant_id in (None, tenant_of(fields))

    return match
