"""Units that a worker holds: handed out without a call, exact all the same, and never stranded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from time import monotonic

import pytest

from gateway.errors import STORE_UNAVAILABLE, TENANT_QUOTA_EXCEEDED, Refused
from gateway.ledger.ledger import Outcome
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Release, Reserve, Slot
from gateway.pipeline.question import Denied, Granted
from gateway.store.keyspace import tenant_tag
from gateway.store.lease import BUCKET_LEASE
from gateway.tenancy.plan import RateLimit
from tests import samples

from .samples import ACME_ID, StoreTime
from .workers import Worker, advance, close, subscribed

PERIOD = "2040-05"
RATE = Rate("tenant", "tenant", "acme", RateLimit(1000, 60, 1000))
QUOTA = Quota("emails", 1000, 1000)
SLOT = Slot("concurrency", "tenant", "acme", 1000)

Started = Callable[[], Worker]


@pytest.fixture
async def started(store_url: str, key_prefix: str, store_time: StoreTime) -> AsyncIterator[Started]:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(store_url, key_prefix, store_time))
        return workers[-1]

    yield start
    await close(workers)


async def warm(worker: Worker, *demands: Demand, time: StoreTime, requests: int = 20) -> None:
    """So many requests, a millisecond apart: often enough that it is worth holding some units."""
    for _ in range(requests):
        answer = await worker.ask(*demands)
        assert isinstance(answer, Granted)
        worker.ledger.settle_soon(answer.charge, Outcome.DELIVERED)
        time.advance(0.001)
    await worker.ledger.flush()


@pytest.mark.parametrize("demands", [(RATE,), (QUOTA,), (SLOT,), (RATE, QUOTA, SLOT)])
async def test_a_hot_tenant_is_served_without_a_call_of_its_own(
    started: Started, store_time: StoreTime, servers: str, demands: tuple[Demand, ...]
) -> None:
    worker = started()
    await warm(worker, *demands, time=store_time, requests=200)
    # Units of an organization's quota are asked for in two places.
    slots = 2 if servers == "sharded" and QUOTA in demands else 1
    assert worker.client.calls.count("admit") <= 10 * slots


async def test_what_nothing_bounds_is_counted_without_being_asked_for(
    started: Started, store_time: StoreTime, usage: Usage
) -> None:
    worker = started()
    await warm(worker, Quota("emails", None, None), Release("users"), time=store_time, requests=50)
    assert "admit" not in worker.client.calls
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 50}


@pytest.mark.parametrize("demand", [Nonce("n", 60), Reserve("users", 5)])
async def test_what_happens_once_always_asks(started: Started, demand: Demand) -> None:
    assert started().take(demand) is None


async def test_a_rare_caller_is_lent_nothing(started: Started, store_time: StoreTime) -> None:
    worker = started()
    for _ in range(10):
        await worker.ask(RATE, QUOTA)
        store_time.advance(1.1)
    assert worker.take(RATE, QUOTA) is None


async def test_a_request_that_lacks_one_unit_takes_none_of_the_others(started: Started, store_time: StoreTime) -> None:
    worker = started()
    await warm(worker, QUOTA, time=store_time)
    before = worker.take(QUOTA)
    assert before is not None
    worker.ledger.settle_soon(before.charge, Outcome.REFUND)
    assert worker.take(QUOTA, RATE) is None
    after = worker.take(QUOTA)
    assert after is not None
    assert after.standings == before.standings


@pytest.mark.parametrize("cap", [1, 10, 100])
async def test_a_cap_admits_exactly_so_many_though_others_hold_idle_units(
    started: Started, store_time: StoreTime, usage: Usage, cap: int
) -> None:
    workers = [started() for _ in range(3)]
    await subscribed(workers)
    quota = Quota("emails", cap, None)
    admitted = 0
    for number in range(cap + 20):
        answer = await workers[number * 7 % 3].ask(quota)
        if isinstance(answer, Granted):
            admitted += 1
            workers[number * 7 % 3].ledger.settle_soon(answer.charge, Outcome.DELIVERED)
        store_time.advance(0.0001)
    for worker in workers:
        await worker.ledger.flush()
    assert admitted == cap
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": cap}


async def test_a_unit_that_stays_idle_while_others_are_counted_is_called_in(started: Started, store_time: StoreTime) -> None:
    one, other = started(), started()
    await subscribed([one, other])
    quota = Quota("emails", 3, None)
    for _ in range(2):
        answer = await one.ask(quota)
        assert isinstance(answer, Granted)
        await one.ledger.settle(answer.charge, Outcome.DELIVERED)
        store_time.advance(0.001)
    # The second brought one more, which lies idle.
    assert one.client.calls.count("admit") == 2
    assert await other.admitted(quota) is not None


async def test_idle_units_go_back_when_nobody_wants_them_for_a_second(started: Started, store_time: StoreTime) -> None:
    one, other = started(), started()
    for demand in (Quota("emails", 30, None), Rate("tenant", "tenant", "t", RateLimit(30, 86400, 30))):
        await warm(one, demand, time=store_time, requests=10)
        store_time.advance(1.0)
        await one.beat()
        admitted = [await other.admitted(demand) for _ in range(25)]
        assert sum(charge is not None for charge in admitted) == 20


@pytest.mark.parametrize("demand", [Quota("emails", 30, 30), Slot("concurrency", "tenant", "x", 30)])
async def test_units_of_a_worker_that_died_come_back_with_their_lease(
    started: Started, store_time: StoreTime, demand: Demand
) -> None:
    dead, other = started(), started()
    for _ in range(10):
        assert isinstance(await dead.ask(demand), Granted)
        store_time.advance(0.001)
    await dead.crash()
    left = 0
    while await other.admitted(demand) is not None:
        left += 1
    assert left <= 20
    store_time.advance(BUCKET_LEASE - 0.5)
    assert await other.admitted(demand) is None
    await other.beat()
    store_time.advance(0.5)
    again = 0
    while await other.admitted(demand) is not None:
        again += 1
    assert left + again == 30


class TestALostReply:
    async def test_of_an_admission_costs_a_lease_and_no_unit(
        self, started: Started, store_time: StoreTime, usage: Usage
    ) -> None:
        worker, quota = started(), Quota("emails", 2, None)
        worker.client.faults = {"admit": "reply lost"}
        with pytest.raises(Refused) as refused:
            await worker.ask(quota)
        assert refused.value.problem is STORE_UNAVAILABLE
        worker.client.faults = {}
        charge = await worker.admitted(quota)
        assert charge is not None
        assert await worker.admitted(quota) is None
        store_time.advance(BUCKET_LEASE)
        assert isinstance(await worker.ask(quota), Granted)
        assert await usage.of_tenant(ACME_ID, PERIOD) == {}

    @pytest.mark.parametrize("demand", [Quota("emails", 2, 2), Slot("concurrency", "tenant", "x", 2)])
    async def test_strands_nothing_while_an_earlier_request_runs_on(
        self, started: Started, store_time: StoreTime, demand: Demand
    ) -> None:
        worker, other = started(), started()
        long = await worker.admitted(demand)
        worker.client.faults = {"admit": "reply lost"}
        with pytest.raises(Refused):
            await worker.ask(demand)
        worker.client.faults = {}
        assert await other.admitted(demand) is None
        for _ in range(2):
            store_time.advance(BUCKET_LEASE / 2)
            await worker.beat()
        assert long is not None
        assert await other.admitted(demand) is not None
        assert await other.admitted(demand) is None

    async def test_of_a_commit_counts_once(self, started: Started, usage: Usage) -> None:
        worker = started()
        answer = await worker.ask(QUOTA)
        assert isinstance(answer, Granted)
        worker.client.faults = {"exchange": "reply lost"}
        receipt = worker.ledger.count(answer.charge, None)
        assert receipt is not None
        while worker.client.calls.count("exchange") < 3:
            await asyncio.sleep(0.001)
        worker.client.faults = {}
        await receipt.wait()
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1}


async def test_a_receipt_waits_until_the_units_are_counted(started: Started, usage: Usage) -> None:
    worker = started()
    answer = await worker.ask(QUOTA)
    assert isinstance(answer, Granted)
    receipt = worker.ledger.count(answer.charge, None)
    assert receipt is not None
    await receipt.wait()
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1}


async def test_nobody_waits_for_what_is_lazy(started: Started, usage: Usage) -> None:
    worker = started()
    answer = await worker.ask(Quota("requests", 10, None, lazy=True))
    assert isinstance(answer, Granted)
    assert worker.ledger.count(answer.charge, None) is None
    await worker.ledger.flush()
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"requests": 1}


async def test_many_commits_share_one_call(started: Started, usage: Usage) -> None:
    worker = started()
    answers = [await worker.ask(QUOTA) for _ in range(50)]
    before = worker.client.calls.count("exchange")
    receipts = [worker.ledger.count(answer.charge, None) for answer in answers if isinstance(answer, Granted)]
    for receipt in receipts:
        assert receipt is not None
        await receipt.wait()
    # Beside the one that they share, leases may have had something to tell.
    assert worker.client.calls.count("exchange") <= before + 3
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 50}


class TestALateCommit:
    async def late(self, started: Started, store_time: StoreTime) -> tuple[Worker, object]:
        """Admitted, and not heard of until after its lease has ended."""
        worker = started()
        answer = await worker.ask(Quota("emails", 2, 2))
        assert isinstance(answer, Granted)
        store_time.advance(BUCKET_LEASE + 1)
        return worker, answer.charge

    async def test_is_counted_while_there_is_room(self, started: Started, store_time: StoreTime, usage: Usage) -> None:
        worker, charge = await self.late(started, store_time)
        receipt = worker.ledger.count(charge, None)
        assert receipt is not None
        await receipt.wait()
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1}

    async def test_is_refused_where_others_have_the_units_now(
        self, started: Started, store_time: StoreTime, usage: Usage
    ) -> None:
        worker, charge = await self.late(started, store_time)
        other = started()
        for _ in range(2):
            answer = await other.ask(Quota("emails", 2, 2))
            assert isinstance(answer, Granted)
            await other.ledger.settle(answer.charge, Outcome.DELIVERED)
        receipt = worker.ledger.count(charge, None)
        assert receipt is not None
        with pytest.raises(Refused) as refused:
            await receipt.wait()
        assert refused.value.problem is TENANT_QUOTA_EXCEEDED
        # Nor is it given back, what was never counted.
        await worker.ledger.settle(charge, Outcome.REFUND)
        assert await usage.of_tenant(ACME_ID, PERIOD) == await usage.of_org("main", PERIOD) == {"emails": 2}

    async def test_of_units_that_the_store_knows_in_part_passes_no_cap(
        self, started: Started, store_time: StoreTime, usage: Usage
    ) -> None:
        """As after a failover to a replica that had not heard of all of them."""
        worker, other = started(), started()
        answer = await worker.ask(Quota("emails", 10, None, units=5))
        assert isinstance(answer, Granted)
        keys = worker.store.keys
        units, _ = keys.lent(f"{keys.usage(tenant_tag(ACME_ID), PERIOD)}:emails")
        for field in await worker.client.command("HKEYS", units):
            if not field.endswith(b":i"):
                await worker.client.command("HINCRBY", units, field, -3)
        taken = await other.ask(Quota("emails", 10, None, units=7))
        assert isinstance(taken, Granted)
        await other.ledger.settle(taken.charge, Outcome.DELIVERED)
        receipt = worker.ledger.count(answer.charge, None)
        assert receipt is not None
        with pytest.raises(Refused):
            await receipt.wait()
        assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 7}


async def test_a_changed_cap_is_never_met_from_units_of_the_one_before(started: Started, store_time: StoreTime) -> None:
    worker = started()
    await warm(worker, Quota("emails", 1000, None), time=store_time)
    assert worker.take(Quota("emails", 1000, None)) is not None
    assert worker.take(Quota("emails", 999, None)) is None
    assert isinstance(await worker.ask(Quota("emails", 20, None)), Denied)


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [(Quota("emails", 40, None), Quota("emails", 1000, None)), (replace(SLOT, limit=40), replace(SLOT, limit=1000))],
)
async def test_a_bound_that_changes_back_is_never_met_from_units_lent_before_the_change(
    started: Started, store_time: StoreTime, before: Demand, meanwhile: Demand
) -> None:
    one, other = started(), started()
    for _ in range(10):
        assert await one.admitted(before) is not None
        store_time.advance(0.001)
    assert one.take(before) is not None
    changed, back = (samples.call(tenant=replace(samples.ACME, version=version)) for version in (2, 3))
    for _ in range(60):
        assert await other.admitted(meanwhile, call=changed) is not None
    assert await one.admitted(before, call=back) is None


async def test_the_organizations_cap_bounds_what_all_its_tenants_hold(started: Started, store_time: StoreTime) -> None:
    workers = [started() for _ in range(2)]
    await subscribed(workers)
    quota, globex = Quota("emails", 100, 60), samples.call(samples.JWT, samples.GLOBEX)
    admitted = 0
    for number in range(100):
        call = globex if number % 3 else samples.call(samples.JWT)
        admitted += await workers[number % 2].admitted(quota, call=call) is not None
        store_time.advance(0.0005)
    assert admitted == 60


@pytest.mark.parametrize("limit", [RateLimit(50, 1, 20), RateLimit(600, 60, 1), RateLimit(7, 1, 40)])
async def test_no_interval_of_a_rate_admits_too_much_on_several_workers(
    started: Started, store_time: StoreTime, limit: RateLimit
) -> None:
    workers = [started() for _ in range(3)]
    await subscribed(workers)
    rate, admitted, began = Rate("tenant", "tenant", "acme", limit), [], monotonic()
    for number in range(600):
        worker = workers[number * 5 % 7 % 3]
        if await worker.admitted(rate) is not None:
            admitted.append(store_time.micros)
        if number % 20 == 0:
            await worker.beat()
        # The store's keys expire by its own clock, which must not run faster than the test's.
        took, began = monotonic() - began, monotonic()
        await advance(workers, store_time, max(took, 0.003 if number % 50 else 0.4))
    assert len(admitted) > limit.burst
    for first, start in enumerate(admitted):
        for last in range(first, len(admitted)):
            allowed = limit.burst + (admitted[last] - start) * limit.count / limit.window / 1_000_000
            assert last - first + 1 <= allowed + 1e-6
