"""Requests that go on while the store can't be reached: by records that are known, counted afterwards, once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import STORE_UNAVAILABLE, Refused
from gateway.ledger.charge import Outcome
from gateway.ledger.deferral import Deferral
from gateway.ledger.entry import ENTRY_MAX
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from gateway.ledger.outage import Outage
from gateway.ledger.replay import Replay
from gateway.ledger.standby import Standby
from gateway.ledger.usage import Usage
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand, Nonce, Quota, Slot
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.tenancy.tenant import Status
from tests.ledger.samples import CALL, Forgotten, StoreTime
from tests.ledger.test_journal import STORE
from tests.ledger.workers import Fault, FaultyClient
from tests.samples import ACME

QUOTA = Quota("messages", cap=100, org_cap=None)
LAZY = replace(QUOTA, metric="requests", lazy=True)
SLOT = Slot("plan", "tenant", "", 2)
STALE_FOR = 300.0
SCRIPTS = ("admit", "exchange", "replay")


class Worker:
    """With a journal that has room for `entries`."""

    def __init__(self, store: Store, client: FaultyClient, directory: Path, time: StoreTime, entries: int = 1000) -> None:
        self.client, self.time, self.ages = client, time, dict[str, float]()
        self.journal = Journal.create(directory, STORE, entries * ENTRY_MAX)
        deferral = Deferral(self.journal)
        self.ledger = Ledger(store, Forgotten(), time, time, deferral)
        standby = Standby(time, self.ledger.last_lease)
        self.replay = Replay(store, directory, STORE, self.journal, standby.forget)
        self.served: list[str] = []
        self.outage = Outage(store, self.ledger, standby, deferral, lambda _: self.age, time, self.served.append)
        self.age = 0.0

    def fail(self, fault: Fault = "request lost") -> None:
        self.client.faults = dict.fromkeys(SCRIPTS, fault)

    def recover(self) -> None:
        self.client.faults = {}
        self.time.advance(1)

    async def ask(
        self, *demands: Demand, call: Call = CALL, basis: tuple[Record, ...] = (), stale_for: float | None = STALE_FOR
    ) -> Granted | Denied | Changed:
        question = Admit(call, basis, demands, stale_for)
        return self.ledger.take(question) or await self.outage.admit(question)

    async def charge(self, *demands: Demand) -> object:
        answer = await self.ask(*demands)
        assert isinstance(answer, Granted)
        return answer.charge

    async def deliver(self, charge: object, told: int | None = None) -> None:
        """As the walk does with an answer below 500."""
        receipt = self.ledger.count(charge, told)
        if receipt is not None:
            await receipt.wait()
        self.ledger.settle_soon(charge, Outcome.DELIVERED, told)

    async def close(self) -> None:
        self.recover()
        await self.ledger.close()
        await self.replay.close()


@pytest.fixture
async def worker(store: Store, store_url: str, tmp_path: Path, store_time: StoreTime) -> AsyncIterator[Worker]:
    client = store.data = FaultyClient(store_url)
    worker = Worker(store, client, tmp_path, store_time)
    yield worker
    await worker.close()


async def refused(worker: Worker, *demands: Demand, **asked: object) -> None:
    with pytest.raises(Refused) as refused:
        await worker.ask(*demands, **asked)  # type: ignore[arg-type]
    assert refused.value.problem is STORE_UNAVAILABLE


async def counted(usage: Usage, metric: str = "messages") -> int:
    """All three counters agree."""
    found = await usage.of_tenant(ACME.id, "2040-05"), await usage.of_org("main", "2040-05")
    by_key = (await usage.by_credential(ACME.id, "2040-05")).get("key_1", {})
    (units,) = {one.get(metric, 0) for one in (*found, by_key)}
    return units


async def back(worker: Worker) -> None:
    worker.recover()
    await worker.ledger.flush()
    await worker.replay.count_own()


async def test_without_the_store_a_request_goes_on_and_is_counted_when_it_is_back(worker, usage):
    worker.fail()
    await worker.deliver(await worker.charge(QUOTA, LAZY))
    assert worker.served == ["things"]
    await back(worker)
    assert (await counted(usage), await counted(usage, "requests")) == (1, 1)


async def test_a_route_that_denies_does_not_go_on(worker):
    worker.fail()
    await refused(worker, QUOTA, stale_for=None)


async def test_while_the_store_is_there_nothing_is_decided_alone(worker, usage):
    await worker.deliver(await worker.charge(QUOTA))
    await worker.ledger.flush()
    assert await counted(usage) == 1
    assert (worker.served, worker.journal.waiting) == ([], 0)


@pytest.mark.parametrize(("age", "admitted"), [(0.0, True), (STALE_FOR, True), (STALE_FOR + 0.1, False), (float("inf"), False)])
async def test_what_is_known_must_not_be_too_old(worker, age, admitted):
    worker.fail()
    worker.age = age
    if admitted:
        assert isinstance(await worker.ask(QUOTA, basis=(ACME,)), Granted)
    else:
        await refused(worker, QUOTA, basis=(ACME,))


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTIVE])
async def test_a_tenant_that_was_not_active_is_never_admitted(worker, status):
    """Even where the route's own policies would let it read."""
    worker.fail()
    await refused(worker, QUOTA, basis=(replace(ACME, status=status),))


async def test_a_signed_request_is_not_decided_without_the_store(worker):
    worker.fail()
    await refused(worker, Nonce("n", 60))
    worker.recover()
    assert isinstance(await worker.ask(Nonce("n", 60)), Granted)


async def test_during_an_outage_the_store_is_asked_now_and_then_only(worker):
    worker.fail()
    for _ in range(20):
        await worker.ask(QUOTA)
    assert worker.client.calls.count("admit") == 1
    worker.time.advance(0.2)
    await worker.ask(QUOTA)
    await worker.ask(QUOTA)
    assert worker.client.calls.count("admit") == 2
    worker.recover()
    await worker.ask(QUOTA)
    await worker.ask(QUOTA)
    assert worker.client.calls.count("admit") == 4
    assert len(worker.served) == 22


async def test_what_the_upstream_failed_is_not_counted(worker, usage):
    worker.fail()
    early, late = await worker.charge(QUOTA), await worker.charge(QUOTA)
    worker.ledger.settle_soon(early, Outcome.REFUND)
    worker.ledger.count(late, None)
    # The answer broke off after the upstream's status was known.
    worker.ledger.settle_soon(late, Outcome.REFUND)
    await worker.deliver(await worker.charge(QUOTA))
    await back(worker)
    assert await counted(usage) == 1


async def test_what_the_upstream_tells_is_what_is_counted(worker, usage):
    worker.fail()
    told = replace(QUOTA, units=10, told=True)
    await worker.deliver(await worker.charge(told), 3)
    await worker.deliver(await worker.charge(told), 15)
    await back(worker)
    assert await counted(usage) == 18


async def test_a_place_comes_back_when_the_request_has_ended(worker):
    worker.fail()
    charges = [await worker.charge(SLOT), await worker.charge(SLOT)]
    assert isinstance(await worker.ask(SLOT), Denied)
    worker.ledger.settle_soon(charges[0], Outcome.CLIENT_GONE)
    worker.ledger.settle_soon(charges[0], Outcome.CLIENT_GONE)
    assert isinstance(await worker.ask(SLOT), Granted)
    assert isinstance(await worker.ask(SLOT), Denied)


async def test_a_cap_that_was_reached_stays_so(worker):
    await worker.deliver(await worker.charge(replace(QUOTA, units=97)))
    await worker.ledger.flush()
    worker.fail()
    for _ in range(2):
        await refused(worker, QUOTA, stale_for=None)
    answers = [await worker.ask(QUOTA) for _ in range(5)]
    assert [isinstance(answer, Granted) for answer in answers] == [True] * 3 + [False] * 2


async def test_after_the_outage_the_cap_holds_what_was_used_in_it(worker, usage):
    worker.fail()
    await worker.deliver(await worker.charge(replace(QUOTA, units=99)))
    await back(worker)
    await worker.deliver(await worker.charge(QUOTA))
    assert isinstance(await worker.ask(QUOTA), Denied)
    worker.fail()
    assert isinstance(await worker.ask(QUOTA), Denied)


@pytest.mark.parametrize("fault", ["request lost", "reply lost"])
async def test_a_request_that_the_outage_meets_in_flight_is_delivered_and_counted_once(worker, usage, fault):
    """Whether the store has counted it is not known; the journal has it until it is."""
    charge = await worker.charge(QUOTA, LAZY)
    worker.fail(fault)
    await worker.deliver(charge)
    assert worker.journal.waiting == 1
    await back(worker)
    await worker.replay.count_own()
    assert (await counted(usage), await counted(usage, "requests")) == (1, 1)


@pytest.mark.parametrize("fault", ["request lost", "reply lost"])
async def test_a_request_that_broke_off_at_the_outage_is_given_back_once(worker, usage, fault):
    charge, other = await worker.charge(QUOTA), await worker.charge(QUOTA)
    worker.fail(fault)
    receipt = worker.ledger.count(charge, None)
    await receipt.wait()
    worker.ledger.settle_soon(charge, Outcome.REFUND)
    worker.recover()
    await worker.deliver(other)
    await back(worker)
    await asyncio.sleep(0)
    await back(worker)
    assert await counted(usage) == 1


async def test_once_nothing_gets_through_nobody_waits_for_it(worker, usage):
    first, second = await worker.charge(QUOTA), await worker.charge(QUOTA)
    worker.fail()
    await worker.deliver(first)
    assert worker.ledger.count(second, None) is None
    worker.ledger.settle_soon(second, Outcome.DELIVERED)
    await back(worker)
    assert await counted(usage) == 2


@pytest.mark.parametrize(("outcome", "units"), [(Outcome.DELIVERED, 1), (Outcome.REFUND, 0)])
async def test_units_that_others_got_meanwhile_are_counted_if_they_were_delivered(worker, usage, store, outcome, units):
    quota = replace(QUOTA, cap=1)
    charge = await worker.charge(quota)
    worker.fail()
    receipt = worker.ledger.count(charge, None)
    await receipt.wait()
    worker.ledger.settle_soon(charge, outcome)
    usage_key = store.keys.usage(str(ACME.id), "2040-05")
    await store.control.command("DEL", *store.keys.lent(f"{usage_key}:messages"))
    await store.control.command("HINCRBY", usage_key, "messages", 1)
    await back(worker)
    await worker.replay.count_own()
    assert await usage.of_tenant(ACME.id, "2040-05") == {"messages": 1 + units}


async def test_what_the_journal_has_counted_is_not_held_any_more(worker, usage):
    quota = replace(QUOTA, cap=3)
    first, second = await worker.charge(quota), await worker.charge(quota)
    worker.fail()
    await worker.deliver(first)
    await worker.deliver(second)
    await back(worker)
    for _ in range(3):
        worker.time.advance(4)
        worker.ledger.sweep()
        await worker.ledger.flush()
    assert isinstance(await worker.ask(quota), Granted)
    assert isinstance(await worker.ask(quota), Denied)


async def test_a_route_that_denies_breaks_off_what_it_can_not_count(worker):
    answer = await worker.ask(QUOTA, stale_for=None)
    assert isinstance(answer, Granted)
    worker.fail()
    with pytest.raises(Refused):
        await worker.deliver(answer.charge)
    worker.ledger.settle_soon(answer.charge, Outcome.REFUND)
    assert worker.journal.waiting == 0


async def test_a_worker_that_dies_in_the_outage_loses_nothing(store, store_url, usage, tmp_path, store_time):
    worker = Worker(store, FaultyClient(store_url), tmp_path, store_time)
    store.data = worker.client
    charge = await worker.charge(QUOTA)
    worker.fail()
    await worker.deliver(charge)
    await worker.deliver(await worker.charge(QUOTA))
    worker.journal.release()
    worker.client.faults = {"exchange": "request lost"}
    await Replay(store, tmp_path, STORE, None).adopt()
    assert await counted(usage) == 2
    await worker.ledger.close()


@pytest.fixture
async def small(store: Store, store_url: str, tmp_path: Path, store_time: StoreTime) -> AsyncIterator[Worker]:
    """A journal with room for two requests at once."""
    client = store.data = FaultyClient(store_url)
    worker = Worker(store, client, tmp_path, store_time, entries=5)
    yield worker
    await worker.close()


async def test_a_full_journal_refuses_as_deny_does(small, usage, caplog):
    small.fail()
    delivered, codes = 0, set()
    for _ in range(100):
        try:
            await small.deliver(await small.charge(QUOTA))
        except Refused as full:
            codes.add(full.problem.code)
        else:
            delivered += 1
    assert codes == {"STORE_UNAVAILABLE"}
    assert 2 <= delivered < 50
    assert caplog.text.count("the journal takes nothing more") == 1
    await back(small)
    assert await counted(usage) == delivered
    small.fail()
    assert isinstance(await small.ask(QUOTA), Granted)


async def test_who_is_admitted_has_room_in_the_journal(small):
    small.fail()
    charges = [await small.charge(QUOTA), await small.charge(QUOTA)]
    await refused(small, QUOTA)
    for charge in charges:
        await small.deliver(charge)
    assert small.journal.waiting == 2


async def test_who_is_refused_for_a_full_journal_has_taken_nothing(small):
    small.fail()
    charges = [await small.charge(SLOT, QUOTA), await small.charge(QUOTA)]
    await refused(small, SLOT, QUOTA)
    assert isinstance(await small.ask(SLOT), Granted)
    for charge in charges:
        small.ledger.settle_soon(charge, Outcome.REFUND)
