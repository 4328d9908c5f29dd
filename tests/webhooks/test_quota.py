"""Webhooks are told that a tenant has used up a cap: once, whoever refuses first."""

from __future__ import annotations

import asyncio

import pytest

from gateway.pipeline.demand import Demand, Quota, Rate, Standing
from gateway.pipeline.question import Admit, Denied
from gateway.tenancy.plan import RateLimit
from gateway.tenancy.tenant import Tenant
from gateway.webhooks.quota import QuotaWatch
from tests import samples
from tests.registry.samples import ORGS, Registry
from tests.webhooks.receiver import Receiver
from tests.webhooks.samples import Stand

EMAILS = Quota("emails", 5, None)


@pytest.fixture
def watches(registry: Registry, stand: Stand) -> list[QuotaWatch]:
    """Of four gateways."""
    return [QuotaWatch(registry.store, registry.webhooks, stand.queue, registry.clock) for _ in range(4)]


def refused(watch: QuotaWatch, tenant: Tenant, demand: Demand = EMAILS, *, by_org: bool = False) -> None:
    call = samples.call(samples.JWT, tenant, org=ORGS["platform"])
    watch.denied(Admit(call, (), (demand,)), Denied([Standing(demand, admitted=False, by_org=by_org)]))


async def test_a_cap_that_is_used_up_is_told_once_by_all_gateways(
    stand: Stand, watches: list[QuotaWatch], receiver: Receiver
) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url)
    await stand.hook(receiver.url, tenant.id)
    for _ in range(3):
        for watch in watches:
            refused(watch, tenant)
        await asyncio.gather(*(watch.told() for watch in watches))
        stand.registry.clock.time += 61
    await stand.turn()
    assert receiver.types == ["tenant.quota_exceeded"] * 2
    event = receiver.got[0].event
    assert (event["tenant_id"], event["data"]) == (tenant.typeid, {"metric": "emails", "period": "2026-05", "cap": 5})


async def test_another_cap_or_month_is_told_anew(stand: Stand, watches: list[QuotaWatch], receiver: Receiver) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url)
    for demand, later in ((EMAILS, 0), (Quota("emails", 9, None), 0), (Quota("sms", 5, None), 0), (EMAILS, 31 * 86400)):
        stand.registry.clock.time += later
        refused(watches[0], tenant, demand)
        await watches[0].told()
    await stand.turn()
    assert sorted((got.event["data"]["metric"], got.event["data"]["cap"]) for got in receiver.got) == [
        ("emails", 5),
        ("emails", 5),
        ("emails", 9),
        ("sms", 5),
    ]


async def test_what_is_no_tenants_cap_is_not_told(stand: Stand, watches: list[QuotaWatch], receiver: Receiver) -> None:
    tenant = await stand.tenant()
    await stand.hook(receiver.url)
    refused(watches[0], tenant, by_org=True)
    refused(watches[0], tenant, Quota("emails", 5, None, shadow=True))
    refused(watches[0], tenant, Rate("tenant", "tenant", "acme", RateLimit(1, 1, 1)))
    await watches[0].told()
    await stand.turn()
    assert receiver.got == []


async def test_a_webhook_that_comes_later_is_told_of_refusals_that_come_later(
    stand: Stand, watches: list[QuotaWatch], receiver: Receiver
) -> None:
    tenant = await stand.tenant()
    refused(watches[0], tenant)
    await watches[0].told()
    await stand.hook(receiver.url)
    stand.registry.clock.time += 61
    refused(watches[0], tenant)
    await watches[0].told()
    await stand.turn()
    assert receiver.types == ["tenant.quota_exceeded"]
