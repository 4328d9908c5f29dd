"""The operator API's calls about use: what a tenant has used, and how it gets to those who bill it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from gateway.api.body import invalid
from gateway.api.cursor import SCORE, UUID_FORM, Cursor, position_of, write_cursor
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.parameters import Input, Nothing, TenantId
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_fields import Text
from gateway.api.usage_view import EXAMPLE_OF, EXAMPLE_USE, OneTenantsUse, Period, TenantUsage, usage_shown
from gateway.billing.billed import Accepted
from gateway.billing.use import Use
from gateway.errors import NOT_FOUND

from . import examples

# Events that one call accepts; tenants that one call looks at.
_MAX_EVENTS, _PAGE, _MOST = 1000, 20, 2**53 - 1

Sink = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="Your name of who bills.")]


class Told(Input):
    """Which use is to be told; absent, that of the default organization. `cursor` is `next_cursor` of the page before."""

    org: str | None = None
    period: Period
    sink: Sink
    customers_only: bool = False
    cursor: Cursor | None = None


class Arrived(Input):
    tenant_id: TenantId
    metric: Text
    day: date
    up_to: Annotated[int, Field(strict=True, ge=1, le=_MOST)]


class Arrival(Input):
    sink: Sink
    events: Annotated[list[Arrived], Field(min_length=1, max_length=_MAX_EVENTS)]


class UseShown(Shape):
    """Units of one day that were not told before; once they are accepted, the day's count is told up to `up_to`."""

    id: str
    """The same as often as these units are told."""
    org: str
    tenant_id: str
    stripe_customer_id: str | None
    metric: str
    day: date
    units: int
    up_to: int


class ToldShown(Shape):
    events: list[UseShown]
    next_cursor: str | None
    """Where it goes on; null at the end. A page can be empty."""


class AcceptedShown(Shape):
    accepted: int


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts, self._orgs = parts, tuple(parts.orgs)

    async def fetch(self, asked: Asked[OneTenantsUse, Nothing]) -> Answered:
        tenant = await self._parts.tenants.get(asked.parameters.tenant_id)
        shown = await usage_shown(self._parts, tenant, asked.parameters)
        return Answered({"tenant_id": str(tenant.id), **shown}, "Usage fetched.")

    async def tell(self, asked: Asked[Nothing, Told]) -> Answered:
        wanted, parts = asked.body, self._parts
        org = self._orgs[0] if wanted.org is None else wanted.org
        if org not in self._orgs:
            raise invalid({"org": f"must be one of: {', '.join(self._orgs)}"})
        tenants, end = await parts.tenant_list.page(org, _PAGE, position_of(wanted.cursor, SCORE, UUID_FORM))
        if wanted.customers_only:
            tenants = [tenant for tenant in tenants if tenant.profile.stripe_customer_id is not None]
        told = await parts.billed.claim(wanted.sink, tenants, wanted.period)
        events = [_shown(use).model_dump(mode="json") for use in told]
        return Answered({"events": events, "next_cursor": None if end is None else write_cursor(end)}, "Usage exported.")

    async def accept(self, asked: Asked[Nothing, Arrival]) -> Answered:
        body = asked.body
        arrived = [Accepted(one.tenant_id, one.metric, one.day, one.up_to) for one in body.events]
        return Answered({"accepted": await self._parts.billed.accept(body.sink, arrived)}, "Usage accepted.")


def usage_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    calls = _Calls(parts)
    return (
        endpoint(
            "GET",
            "/fetch/usage",
            calls.fetch,
            name="fetchUsage",
            summary="Show what a tenant has used in a month",
            parameters=OneTenantsUse,
            body=Nothing,
            answer=TenantUsage,
            errors=(NOT_FOUND,),
            example=Example({**EXAMPLE_USE, **examples.NAMED}, parameters={**examples.NAMED, **EXAMPLE_OF}),
        ),
        endpoint(
            "POST",
            "/export/usage",
            calls.tell,
            name="exportUsage",
            summary="Tell what is to be billed and was not accepted yet",
            parameters=Nothing,
            body=Told,
            answer=ToldShown,
            example=Example({"events": [_EVENT], "next_cursor": None}, {"period": "2026-04", "sink": "stripe"}),
        ),
        endpoint(
            "POST",
            "/accept/usage",
            calls.accept,
            name="acceptUsage",
            summary="Say what has arrived where it is billed",
            parameters=Nothing,
            body=Arrival,
            answer=AcceptedShown,
            example=Example({"accepted": 1}, {"sink": "stripe", "events": [_ARRIVED]}),
        ),
    )


def _shown(use: Use) -> UseShown:
    return UseShown(
        id=use.id,
        org=use.org,
        tenant_id=use.tenant_id,
        stripe_customer_id=use.customer,
        metric=use.metric,
        day=use.day,
        units=use.units,
        up_to=use.end,
    )


_ARRIVED = {"tenant_id": EXAMPLE_USE["tenant_id"], "metric": "emails", "day": "2026-04-01", "up_to": 4711}
_EVENT = {
    **_ARRIVED,
    "id": "use_5d41402abc4b2a76b9719d911017c592aa0c8e5f",
    "org": "demo",
    "stripe_customer_id": "cus_NffrFeUfNV2Hib",
    "units": 4711,
}
