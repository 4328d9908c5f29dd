"""`domains`: internet domains of a platform and its tenants, claimed, proved by DNS, deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gateway.api.body import invalid
from gateway.api.cursor import Paged, listed, page, position_of
from gateway.api.endpoint import Answered, Asked, Caller, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.errors import (
    DOMAIN_NOT_VERIFIED,
    DOMAIN_TAKEN,
    NOT_FOUND,
    PLATFORM_ONLY,
    RATE_LIMITED,
    RESOLVER_UNAVAILABLE,
    TENANT_IS_ARCHIVED,
    TOO_MANY_DOMAINS,
    WRITE_CONFLICT,
    Refused,
)
from gateway.registry.domains import NO_DOMAIN, Owned
from gateway.registry.owner import Owner
from gateway.tenancy.domain import Domain, domain_name
from gateway.tenancy.ids import parse_id, typeid

_UNKNOWN = {"tenant_id": "is no tenant of the organization that the caller may name"}


def _domain_id(text: object) -> object:
    parsed = parse_id("dom", text) if isinstance(text, str) else None
    if parsed is None:
        raise ValueError("must be a domain's id: dom_…")
    return typeid("dom", parsed)


def _name(text: str) -> str:
    name = domain_name(text)
    if name is None:
        raise ValueError("must be a domain such as mail.example.com")
    return name


DomainId = Annotated[str, BeforeValidator(_domain_id), WithJsonSchema({"type": "string", "description": "`dom_…`."})]
_ID_FORM = re.compile(r"dom_[0-7][0-9a-hjkmnp-tv-z]{25}")


class OneDomain(Input):
    domain_id: DomainId


class WantedDomains(Paged):
    tenant_id: Annotated[TenantId | None, Field(description="Those of this tenant alone.")] = None


class NewDomain(Input):
    """`tenant_id` absent or null: the caller's own tenant's, or the organization's."""

    domain: Annotated[str, Field(max_length=253), AfterValidator(_name)]
    tenant_id: TenantId | None = None


class RecordShown(Shape):
    """What to publish in the DNS."""

    type: Literal["TXT"]
    name: str
    value: str


class DomainShown(Shape):
    """An internet domain, and who says that it is theirs."""

    id: str
    domain: str
    """In lower case, of A-labels."""
    tenant_id: str | None
    """Null: the organization's own."""
    status: Literal["pending", "verified"]
    """A pending one counts for nothing yet."""
    record: RecordShown
    """The proof."""
    created_at: str
    verified_at: str | None


Shown = Mapping[str, object]


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._tenants = parts.tenants
        self._domains = parts.domains

    async def create(self, asked: Asked[Nothing, NewDomain]) -> Answered:
        caller, org = asked.caller, asked.caller.require_org()
        owner = await self._owner(caller, asked.body.tenant_id)
        domain = await self._domains.by(caller.actor).create(org, owner, asked.body.domain)
        return Answered(_shown(owner, domain))

    async def list(self, asked: Asked[WantedDomains, Nothing]) -> Answered:
        caller, wanted, org = asked.caller, asked.parameters, asked.caller.require_org()
        position = position_of(wanted.cursor, _ID_FORM)
        below = None if position is None else position[0]
        if wanted.tenant_id is None and caller.tenant is None:
            found, end = await self._domains.page(org, wanted.limit, below)
            return Answered(page([_shown(one.owner, one.domain) for one in found], None if end is None else (end,)))
        owners: Sequence[Owner] = (caller.tenant, org) if caller.tenant is not None else ()
        if wanted.tenant_id is not None:
            caller.check_may_name(wanted.tenant_id)
            tenant = await self._tenants.get(wanted.tenant_id)
            caller.check_sees(tenant.org, tenant.id)
            owners = (tenant.id,)
        seen = [Owned(owner, domain) for owner in owners for domain in await self._domains.held_by(owner)]
        return Answered(_page_of(seen, wanted.limit, below))

    async def show(self, asked: Asked[OneDomain, Nothing]) -> Answered:
        found = await self._seen(asked.caller, asked.parameters.domain_id)
        return Answered(_shown(found.owner, found.domain))

    async def verify(self, asked: Asked[OneDomain, Nothing]) -> Answered:
        found = await self._own(asked.caller, asked.parameters.domain_id)
        verified = await self._domains.by(asked.caller.actor).verify(found.owner, found.domain.id)
        return Answered(_shown(found.owner, verified))

    async def delete(self, asked: Asked[OneDomain, Nothing]) -> Answered:
        found = await self._own(asked.caller, asked.parameters.domain_id)
        org = asked.caller.require_org()
        deleted = await self._domains.by(asked.caller.actor).delete(org, found.owner, found.domain.id)
        return Answered(_shown(found.owner, deleted))

    async def _owner(self, caller: Caller, tenant_id: UUID | None) -> Owner:
        """Whose a new domain will be. Raises Refused(INVALID_BODY)."""
        if tenant_id is None:
            return caller.tenant or caller.require_org()
        try:
            # Before the store is asked: its time must not tell either which tenants there are.
            caller.check_may_name(tenant_id)
            tenant = await self._tenants.get(tenant_id)
            caller.check_sees(tenant.org, tenant.id)
        except Refused as refused:
            if refused.problem is not NOT_FOUND:
                raise
            raise invalid(_UNKNOWN) from None
        return tenant_id

    async def _seen(self, caller: Caller, domain_id: str) -> Owned:
        """A bound caller sees its tenant's and its organization's, in whose records alone it is looked up."""
        org = caller.require_org()
        if caller.tenant is None:
            return await self._domains.find(org, domain_id)
        for owner in (caller.tenant, org):
            for domain in await self._domains.held_by(owner):
                if domain.id == domain_id:
                    return Owned(owner, domain)
        raise Refused(NOT_FOUND, NO_DOMAIN)

    async def _own(self, caller: Caller, domain_id: str) -> Owned:
        """One that the caller may change. Raises Refused: NOT_FOUND, PLATFORM_ONLY for the organization's that it sees."""
        found = await self._seen(caller, domain_id)
        if caller.tenant not in (None, found.owner):
            raise Refused(PLATFORM_ONLY, "The domain is the organization's.")
        return found


def domain_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    scope = "write:domains"
    return (
        endpoint(
            "POST",
            "",
            calls.create,
            name="createDomain",
            summary="Claim a domain",
            parameters=Nothing,
            body=NewDomain,
            answer=DomainShown,
            status=201,
            scope=scope,
            errors=(DOMAIN_TAKEN, TOO_MANY_DOMAINS, TENANT_IS_ARCHIVED, WRITE_CONFLICT),
            example=Example(_PENDING, {"domain": "mail.acme.com", "tenant_id": _PENDING["tenant_id"]}),
        ),
        endpoint(
            "GET",
            "",
            calls.list,
            name="listDomains",
            summary="List domains, the newest first",
            parameters=WantedDomains,
            body=Nothing,
            answer=listed(DomainShown),
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example({"data": [_VERIFIED], "next_cursor": None}, parameters={"limit": "20"}),
        ),
        endpoint(
            "GET",
            "/{domain_id}",
            calls.show,
            name="getDomain",
            summary="Show a domain",
            parameters=OneDomain,
            body=Nothing,
            answer=DomainShown,
            scope=scope,
            errors=(NOT_FOUND,),
            example=Example(_VERIFIED, parameters=_NAMED),
        ),
        endpoint(
            "POST",
            "/{domain_id}/verify",
            calls.verify,
            name="verifyDomain",
            summary="Look for the proof in the DNS",
            parameters=OneDomain,
            body=Nothing,
            answer=DomainShown,
            scope=scope,
            errors=(
                NOT_FOUND,
                PLATFORM_ONLY,
                DOMAIN_NOT_VERIFIED,
                DOMAIN_TAKEN,
                TENANT_IS_ARCHIVED,
                WRITE_CONFLICT,
                RATE_LIMITED,
                RESOLVER_UNAVAILABLE,
            ),
            example=Example(_VERIFIED, parameters=_NAMED),
        ),
        endpoint(
            "DELETE",
            "/{domain_id}",
            calls.delete,
            name="deleteDomain",
            summary="Give a domain up",
            parameters=OneDomain,
            body=Nothing,
            answer=DomainShown,
            scope=scope,
            errors=(NOT_FOUND, PLATFORM_ONLY, WRITE_CONFLICT),
            example=Example(_VERIFIED, parameters=_NAMED),
        ),
    )


_NAMED = {"domain_id": "dom_01kj9jf3w8e7d9x2v5b6c4n1m0"}
_PENDING = {
    "id": _NAMED["domain_id"],
    "domain": "mail.acme.com",
    "tenant_id": "tnt_01kj9je6hbfgyrwkttbdjcv7gf",
    "status": "pending",
    "record": {
        "type": "TXT",
        "name": "_tenantgate.mail.acme.com",
        "value": "tenantgate-verify=5f0c9a4be1d24b7f8a3b6c2d9e7f1a05",
    },
    "created_at": "2026-06-21T10:00:00Z",
    "verified_at": None,
}
_VERIFIED = {**_PENDING, "status": "verified", "verified_at": "2026-06-21T10:30:00Z"}


def _shown(owner: Owner, domain: Domain) -> Shown:
    return {
        "id": domain.id,
        "domain": domain.name,
        "tenant_id": typeid("tnt", owner) if isinstance(owner, UUID) else None,
        "status": "pending" if domain.verified_at is None else "verified",
        "record": {"type": "TXT", "name": domain.record_name, "value": domain.record_value},
        "created_at": timestamp(domain.created_at),
        "verified_at": None if domain.verified_at is None else timestamp(domain.verified_at),
    }


def _page_of(seen: Sequence[Owned], limit: int, below: str | None) -> Shown:
    """Of all that there are: ids sort by the time they were made."""
    rest = sorted((one for one in seen if below is None or one.domain.id < below), key=lambda one: one.domain.id)[::-1]
    end = (rest[limit - 1].domain.id,) if len(rest) > limit else None
    return page([_shown(one.owner, one.domain) for one in rest[:limit]], end)
