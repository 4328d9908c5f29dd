"""How long a change takes, and what it and a lease cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.decision import Admission, Ask, Decider, Trail
from gateway.ledger.charge import Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.chain import Chain
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Slot
from gateway.pipeline.lookup import TenantById, TenantBySlug
from gateway.pipeline.question import Admit, Changed, Granted
from gateway.registry.audit_entry import SYSTEM, Act
from gateway.registry.tenants import NewTenant
from gateway.routing.match import Route, Router
from gateway.store.lease import RECORD_LEASE
from gateway.tenancy.period import period_of
from gateway.tenancy.plan import Plan, RateLimit
from gateway.tenancy.tenant import Status, Tenant
from tests import samples
from tests.pipeline.callers import BOUND_TEXT, JWT_BEARER, MATCH, STATUS, bearer, stored
from tests.registry.samples import ManualClock
from tests.registry.workers import Life, StandingClock, Worker, worker
from tests.store.server import OwnServer

Started = Callable[..., Worker]


@pytest.fixture
def clock() -> ManualClock:
    # In the store's month, so that an admission is one call.
    return ManualClock(time.time())


@pytest.fixture
async def started(store_url: str, key_prefix: str, clock: ManualClock) -> AsyncIterator[Started]:
    """Starts workers, which hear of changes only as far as the test says so."""
    workers: list[Worker] = []

    def start(of: ManualClock = clock) -> Worker:
        workers.append(worker(store_url, key_prefix, of, Life()))
        return workers[-1]

    yield start
    for one in workers:
        await one.close()


async def acme(one: Worker) -> Tenant:
    return (await one.tenants.create(NewTenant("platform", "Acme"))).tenant


async def listening(one: Worker) -> None:
    one.listener.start()
    channel = one.store.keys.changes
    while await one.store.control.command("PUBSUB", "NUMSUB", channel) != [channel.encode(), 1]:
        await asyncio.sleep(0)


class TestAChange:
    async def test_that_nobody_holds_a_lease_of_takes_no_time(self, started: Started, clock: ManualClock) -> None:
        one = started()
        tenant = await acme(one)
        await one.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert clock.waited == 0

    async def test_waits_for_no_lease_of_its_own_worker(self, started: Started, clock: ManualClock) -> None:
        one = started()
        tenant = await acme(one)
        await one.records.resolve(TenantById(tenant.id))
        assert one.trusted(tenant.id) == tenant
        await one.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert one.trusted(tenant.id) is None
        assert clock.waited == 0

    async def test_answers_when_the_others_have_dropped_their_leases(self, started: Started) -> None:
        # On a clock that stands no lease ever ends.
        one, other = started(StandingClock()), started(StandingClock())
        tenant = await acme(one)
        await listening(other)
        await other.records.resolve(TenantById(tenant.id))
        assert other.trusted(tenant.id) == tenant
        async with asyncio.timeout(30):
            await one.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert other.trusted(tenant.id) is None

    async def test_is_delayed_by_a_eachthat_was_killed_by_one_lease_and_only_once(
        self, started: Started, clock: ManualClock
    ) -> None:
        one, killed = started(), started()
        tenant = await acme(one)
        await killed.records.resolve(TenantById(tenant.id))
        await killed.kill()
        await one.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert RECORD_LEASE <= clock.waited <= RECORD_LEASE * 1.05
        await one.tenants.set_status(tenant.id, Status.ACTIVE)
        assert clock.waited <= RECORD_LEASE * 1.05

    async def test_that_finds_itself_made_already_waits_like_the_first(self, started: Started, clock: ManualClock) -> None:
        one, cut_off = started(), started()
        tenant = await acme(one)
        await cut_off.records.resolve(TenantById(tenant.id))
        suspended = replace(tenant, status=Status.SUSPENDED, version=tenant.version + 1)
        # Its author dies after it is written.
        assert await one.shelf.write(suspended, tenant.version)
        assert await one.tenants.set_status(tenant.id, Status.SUSPENDED) == suspended
        assert clock.waited >= RECORD_LEASE
        assert cut_off.trusted(tenant.id) is None

    async def test_of_a_tenant_that_is_suspended_or_served_again_is_seen_at_once(
        self, started: Started, clock: ManualClock
    ) -> None:
        one, other = started(), started()
        tenant = await acme(one)
        for status in (Status.SUSPENDED, Status.ACTIVE, Status.SUSPENDED, Status.ACTIVE):
            await other.records.resolve(TenantById(tenant.id))
            change = asyncio.create_task(one.tenants.set_status(tenant.id, status))
            while (record := await one.tenants.get(tenant.id)).status is not status:
                await asyncio.sleep(0)
            await other.hear(tenant.id, record.version)
            await change
            seen = await other.records.resolve(TenantById(tenant.id))
            assert isinstance(seen, Tenant)
            assert seen.status is status

    async def test_of_an_organization_is_waited_for_where_nothing_was_stored_of_it(
        self, started: Started, clock: ManualClock
    ) -> None:
        one, other = started(), started()
        org = await other.shelf.lease("platform")
        assert org is not None
        assert org.version == 0
        await one.tenants._changes.org("platform", lambda old: replace(old, keys=(stored(BOUND_TEXT),)), Act(SYSTEM))
        assert clock.waited >= RECORD_LEASE


async def test_a_change_waits_for_one_whole_lease_where_the_store_was_restarted_and_has_lost_some(
    tmp_path: Path, clock: ManualClock
) -> None:
    with OwnServer(tmp_path) as server:
        one, cut_off = (worker(server.url, "t", clock) for _ in range(2))
        tenant = await acme(one)
        await cut_off.records.resolve(TenantById(tenant.id))
        await one.store.control.command("DEL", one.store.keys.leases(str(tenant.id)))
        await one.store.durable.wait()
        server.kill()
        server.start()
        later = worker(server.url, "t", clock)
        await later.tenants.set_status(tenant.id, Status.SUSPENDED)
        assert clock.waited >= RECORD_LEASE
        assert cut_off.trusted(tenant.id) is None
        for each in (one, cut_off, later):
            await each.close()


class TestALease:
    async def test_saves_a_request_without_limits_every_call_of_the_store(self, started: Started, clock: ManualClock) -> None:
        one = started()
        tenant = await acme(one)
        await one.records.resolve(TenantBySlug("acme"))
        route = Route("things", "/things", Chain.of([JWT_BEARER, MATCH, STATUS], []), upstream="upstream")
        decider = Decider(Router([route]), one.records, one.ledger.take, {"free": Plan("free")}, one.shelf.orgs)
        before = len(one.calls)
        assert isinstance(decider.decide(bearer(), Trail()), Admission)
        assert one.trusted(tenant.id) == tenant
        assert one.calls[before:] == []
        clock.time += RECORD_LEASE
        assert isinstance(decider.decide(bearer(), Trail()), Ask)

    async def test_is_granted_and_renewed_by_every_admission(self, started: Started, clock: ManualClock) -> None:
        one = started()
        tenant = await acme(one)
        assert one.trusted(tenant.id) is None
        for _ in range(2):
            await one.ledger.admit(Admit(samples.call(samples.JWT, tenant), (tenant,), ()))
            clock.time += 0.9
            assert one.trusted(tenant.id) == tenant
        await started().tenants.set_status(tenant.id, Status.SUSPENDED)
        assert clock.waited >= RECORD_LEASE
        assert one.trusted(tenant.id) is None


async def test_a_worker_that_has_stopped_holds_up_no_change(started: Started, clock: ManualClock) -> None:
    one, gone = started(), started()
    tenant = await acme(one)
    await gone.records.resolve(TenantBySlug("acme"))
    await gone.close()
    assert gone.trusted(tenant.id) is None
    before = clock.waited
    await one.tenants.set_status(tenant.id, Status.SUSPENDED)
    assert clock.waited == before


async def test_an_admission_that_a_change_overtakes_has_taken_nothing(started: Started) -> None:
    one, other = started(), started()
    tenant = await acme(one)
    demands: tuple[Demand, ...] = (Quota("emails", 1, None), Nonce("n" * 16, 600), Slot("concurrency", "tenant", "acme", 1))
    question = Admit(samples.call(samples.JWT, tenant), (tenant,), demands)
    # The answer is there, and the worker has not looked at it yet.
    admitting = asyncio.create_task(one.ledger.admit(question))
    asyncio.get_running_loop().call_soon(one.listener.receive, f"{tenant.id} {tenant.version + 1}".encode())
    assert isinstance(await admitting, Changed)
    assert set((await Usage(one.store).of_tenant(tenant.id, period_of(one.clock.now()))).values()) <= {0}
    again = await other.ledger.admit(question)
    assert isinstance(again, Granted)
    await other.ledger.settle(again.charge, Outcome.DELIVERED)


async def test_an_admission_whose_answer_comes_late_costs_no_unit_twice(started: Started, clock: ManualClock) -> None:
    one = started()
    tenant = await acme(one)
    rate = Rate("tenant", "tenant", "acme", RateLimit(1, 3600, 1))
    question = Admit(samples.call(samples.JWT, tenant), (tenant,), (rate, Quota("emails", 1, None), Nonce("n" * 16, 600)))

    def stall() -> None:
        clock.time += RECORD_LEASE

    # Nothing has changed meanwhile, but its lease has ended before the worker looks at the answer.
    admitting = asyncio.create_task(one.ledger.admit(question))
    asyncio.get_running_loop().call_soon(stall)
    assert isinstance(await admitting, Granted)
