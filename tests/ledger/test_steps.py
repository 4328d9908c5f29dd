"""A request that needs something of two hash slots: the tenant's is asked first, and gives nothing if the other one refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from gateway.errors import STORE_UNAVAILABLE, TENANT_QUOTA_EXCEEDED, Refused
from gateway.ledger.bucket import Lent
from gateway.ledger.charge import Charge
from gateway.ledger.ledger import Effect, Outcome
from gateway.ledger.resources import Held, Resources
from gateway.ledger.usage import Usage
from gateway.pipeline.demand import Demand, Nonce, Quota, Rate, Reserve, Slot
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.store.lease import BUCKET_LEASE
from gateway.store.script import Script
from gateway.store.wire import Part, Reply
from gateway.tenancy.plan import RateLimit
from tests import samples

from .samples import ACME_ID, CALL, StoreTime
from .workers import FaultyClient, Worker, close, subscribed

PERIOD = "2040-05"
# The last of each: who holds it, holds all.
RATE = Rate("tenant", "tenant", "acme", RateLimit(1, 86400, 1))
SLOT = Slot("concurrency", "tenant", "acme", 1)
SMS = Quota("sms", 1, None)
OF_THE_TENANT: tuple[Demand, ...] = (RATE, SMS, SLOT, Nonce("n" * 16, 60), Reserve("users", 1))
BOTH = Quota("emails", 2, 1)
OF_THE_ROUTE = Slot("concurrency", "route", "things", 1)
GLOBEX = samples.call(samples.JWT, samples.GLOBEX)


class Way(FaultyClient):
    """To two servers: what is kept of organizations, and of routes, is on the other one, whose `faults` are those of `other`
    scripts. `halt` keeps calls to it from going out until it is set; `between` is done when the tenant's has answered, and
    `going_back` keeps the answers to its exchanges."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.halt = asyncio.Event()
        self.halt.set()
        self.arrived = asyncio.Event()
        self.between: Callable[[], None] = lambda: None
        self.going_back = asyncio.Event()
        self.going_back.set()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        if not any("{org:" in key or "{route:" in key for key in keys):
            reply = await super().run(script, keys, args)
            if script.name == "exchange":
                await self.going_back.wait()
            self.between()
            return reply
        self.arrived.set()
        await self.halt.wait()
        return await super().run(replace(script, name=f"other {script.name}"), keys, args)


Started = Callable[[], Worker]
pytestmark = pytest.mark.parametrize("servers", ["sharded"], indirect=True)


@pytest.fixture
async def started(store_url: str, key_prefix: str, store_time: StoreTime) -> AsyncIterator[Started]:
    workers: list[Worker] = []

    def start() -> Worker:
        worker = Worker(store_url, key_prefix, store_time)
        worker.client = worker.store.data = Way(store_url)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        way_of(worker).halt.set()
    await close(workers)


def way_of(worker: Worker) -> Way:
    assert isinstance(worker.client, Way)
    return worker.client


async def taken_by_others(worker: Worker, refusing: Demand) -> Charge:
    answer = await worker.ask(refusing, call=GLOBEX)
    assert isinstance(answer, Granted)
    assert isinstance(answer.charge, Charge)
    return answer.charge


@pytest.mark.parametrize("refusing", [BOTH, OF_THE_ROUTE])
@pytest.mark.parametrize("hot", [False, True])
async def test_what_the_other_slot_refuses_has_taken_nothing_of_the_tenants(
    started: Started, store: Store, usage: Usage, refusing: Demand, hot: bool
) -> None:
    worker, other = started(), started()
    charge = await taken_by_others(other, refusing)
    for _ in range(5 if hot else 1):
        answer = await worker.ask(*OF_THE_TENANT, refusing)
        assert isinstance(answer, Denied)
        assert [standing.admitted for standing in answer.standings] == [True] * 5 + [False]
    assert await Resources(store, ["users"]).of_tenant(ACME_ID) == {"users": Held()}
    # Everything is there at once, on every worker.
    assert isinstance(await other.ask(*OF_THE_TENANT), Granted)
    await other.ledger.settle(charge, Outcome.REFUND)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {}


async def test_who_is_granted_all_holds_it_in_both_slots(started: Started, usage: Usage, store_time: StoreTime) -> None:
    worker, other = started(), started()
    answer = await worker.ask(*OF_THE_TENANT[:3], BOTH, OF_THE_ROUTE)
    assert isinstance(answer, Granted)
    for demand in (*OF_THE_TENANT[:3], BOTH, OF_THE_ROUTE):
        assert await other.admitted(demand) is None
    assert await other.admitted(BOTH, call=GLOBEX) is None
    await worker.ledger.settle(answer.charge, Outcome.DELIVERED)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"sms": 1, "emails": 1}
    assert await usage.of_org("main", PERIOD) == {"sms": 1, "emails": 1}
    assert await other.admitted(SLOT, OF_THE_ROUTE) is not None
    # The cell was used when the request was admitted, and comes back a day after that.
    store_time.advance(86399)
    await worker.beat()
    assert await other.admitted(RATE) is None
    store_time.advance(1)
    assert await other.admitted(RATE) is not None


async def test_the_tenants_slot_refuses_without_a_word_to_the_other(started: Started) -> None:
    worker = started()
    answer = await worker.ask(Quota("emails", 0, 5), OF_THE_ROUTE, RATE)
    assert isinstance(answer, Denied)
    assert worker.client.calls == ["admit"]
    assert [(one.demand, one.admitted) for one in answer.standings] == [(Quota("emails", 0, 5), False), (RATE, True)]


@pytest.mark.parametrize(
    ("demand", "used"), [(SMS, 0), (SLOT, 0), (RATE, 0), (replace(SMS, cap=2), 1), (replace(SLOT, limit=2), 1)]
)
async def test_who_meets_what_another_one_may_give_back_asks_again(
    started: Started, store_time: StoreTime, demand: Demand, used: int
) -> None:
    one, other, third = started(), started(), started()
    await subscribed([one, other, third])
    await taken_by_others(third, BOTH)
    for _ in range(used):
        assert await one.admitted(demand) is not None
    # Too rare to be worth asking for more.
    store_time.advance(2)
    way = way_of(one)
    way.halt.clear()
    way.arrived.clear()
    first = asyncio.create_task(one.ask(demand, BOTH))
    await way.arrived.wait()
    # The tenant's slot has lent all that there is, and the other one has not decided.
    second = asyncio.create_task(other.ask(demand))
    while other.client.calls.count("admit") < 5 and not second.done():
        await asyncio.sleep(0)
    way.halt.set()
    assert isinstance(await first, Denied)
    assert isinstance(await second, Granted)


async def test_a_refusal_waits_until_what_was_lent_is_back(started: Started) -> None:
    worker, other = started(), started()
    await taken_by_others(other, BOTH)
    way = way_of(worker)
    way.going_back.clear()
    asking = asyncio.create_task(worker.ask(SMS, Nonce("n" * 16, 60), BOTH))
    while "exchange" not in way.calls:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asking.done()
    way.going_back.set()
    assert isinstance(await asking, Denied)


async def test_what_is_lent_while_the_other_slot_decides_is_not_taken_for_what_a_lost_reply_has_lent(
    started: Started, store_time: StoreTime
) -> None:
    worker, other = started(), started()
    slot = replace(SLOT, limit=3)
    assert await worker.admitted(slot) is not None
    store_time.advance(2.5)
    way = way_of(worker)
    way.halt.clear()
    way.arrived.clear()
    asking = asyncio.create_task(worker.ask(slot, BOTH))
    await way.arrived.wait()
    worker.client.faults = {"admit": "reply lost"}
    with pytest.raises(Refused):
        await worker.ask(slot)
    worker.client.faults = {}
    worker.ledger.sweep()
    await asyncio.sleep(0.15)
    assert worker.client.calls.count("exchange") > 0
    way.halt.set()
    assert isinstance(await asking, Granted)
    store_time.advance(2.5)
    await worker.beat()
    # Two are in use, and the lost one has come back.
    assert [await other.admitted(slot) is not None for _ in range(2)] == [True, False]


@pytest.mark.parametrize("fault", ["request lost", "reply lost"])
async def test_a_lost_call_to_the_second_slot_gives_back_what_the_first_has_lent(
    started: Started, store: Store, store_time: StoreTime, fault: str
) -> None:
    worker, other = started(), started()
    worker.client.faults = {"other admit": "reply lost" if fault == "reply lost" else "request lost"}
    with pytest.raises(Refused) as refused:
        await worker.ask(RATE, SLOT, Nonce("n" * 16, 60), Reserve("users", 1), BOTH)
    assert refused.value.problem is STORE_UNAVAILABLE
    worker.client.faults = {}
    await worker.ledger.flush()
    assert await Resources(store, ["users"]).of_tenant(ACME_ID) == {"users": Held()}
    charge = await other.admitted(RATE, SLOT, Nonce("n" * 16, 60), Reserve("users", 1))
    assert charge is not None
    if fault == "reply lost":
        assert await other.admitted(BOTH) is None
        store_time.advance(BUCKET_LEASE)
    assert await other.admitted(BOTH) is not None


async def test_of_a_worker_that_dies_between_the_two_everything_comes_back_with_its_lease(
    started: Started, store_time: StoreTime
) -> None:
    dying, other = started(), started()
    way = way_of(dying)
    way.halt.clear()
    way.arrived.clear()
    asking = asyncio.create_task(dying.ask(SMS, SLOT, RATE, BOTH))
    await way.arrived.wait()
    await dying.crash()
    way.faults |= {"other admit": "request lost", "other exchange": "request lost"}
    way.halt.set()
    with pytest.raises(Refused):
        await asking
    store_time.advance(BUCKET_LEASE - 0.1)
    for demand in (SMS, SLOT, RATE):
        assert await other.admitted(demand) is None
    store_time.advance(0.1)
    assert await other.admitted(SMS, SLOT, BOTH) is not None
    # Whether the cell was used nobody can tell: it counts as used when the lease ended.
    assert await other.admitted(RATE) is None
    store_time.advance(86400)
    assert await other.admitted(RATE) is not None


async def test_a_caller_that_goes_away_between_the_two_holds_nothing(started: Started) -> None:
    worker, other = started(), started()
    way = way_of(worker)
    way.halt.clear()
    way.arrived.clear()
    asking = asyncio.create_task(worker.ask(SMS, SLOT, BOTH))
    await way.arrived.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    way.halt.set()
    await asyncio.sleep(0.02)
    await worker.ledger.flush()
    assert await other.admitted(SMS, SLOT, BOTH) is not None


async def test_what_was_given_back_once_is_not_given_back_again(started: Started) -> None:
    worker, other = started(), started()
    slot = replace(SLOT, limit=3)
    assert await worker.admitted(slot) is not None
    await taken_by_others(other, BOTH)
    worker.client.faults = {"exchange": "reply lost"}
    assert isinstance(await worker.ask(slot, BOTH), Denied)
    worker.client.faults = {}
    await worker.ledger.flush()
    # One is in use still.
    assert [await other.admitted(slot) is not None for _ in range(3)] == [True, True, False]


async def test_what_one_slot_lends_beside_and_the_other_one_does_not_goes_back(started: Started, store_time: StoreTime) -> None:
    worker, other = started(), started()
    await warm(worker, Quota("emails", 100, 12), store_time)
    assert await lent(worker) == [held(worker)] * 2
    assert held(worker) > 0
    assert await other.admitted(Quota("emails", 100, None, units=92 - held(worker))) is not None


async def test_what_goes_back_with_an_ask_that_the_first_slot_refuses_goes_back_in_the_other_too(
    started: Started, store_time: StoreTime
) -> None:
    worker = started()
    await warm(worker, Quota("emails", 20, 100), store_time)
    assert await lent(worker) == [held(worker)] * 2
    assert held(worker) > 0
    assert isinstance(await worker.ask(Quota("emails", 20, 100, units=20)), Denied)
    assert await lent(worker) == [0, 0]


async def test_units_that_one_slot_has_forgotten_are_not_handed_out(started: Started, store_time: StoreTime) -> None:
    worker, quota = started(), Quota("emails", 1000, 1000)
    await warm(worker, quota, store_time, requests=60)
    for _ in range(4):
        store_time.advance(0.7)
        answer = worker.take(quota)
        assert answer is not None
        await worker.ledger.settle(answer.charge, Outcome.DELIVERED)
    org = [place for place in places(worker) if "{org:" in place.units]
    await worker.store.control.command("DEL", org[0].units, org[0].ends)
    await worker.beat()
    assert worker.take(quota) is None


async def warm(worker: Worker, demand: Demand, time: StoreTime, requests: int = 8) -> None:
    """So often that it is worth holding some units."""
    for _ in range(requests):
        answer = await worker.ask(demand)
        assert isinstance(answer, Granted)
        worker.ledger.settle_soon(answer.charge, Outcome.DELIVERED)
        time.advance(0.001)
    await worker.ledger.flush()


def places(worker: Worker) -> list[Lent]:
    """Of the one bucket of which it holds something."""
    (lease,) = worker.ledger._book.living
    return list(lease.bucket.places)


def held(worker: Worker) -> int:
    return sum(lease.idle + lease.busy for lease in worker.ledger._book.living)


async def lent(worker: Worker) -> list[int]:
    """By each of its places."""
    replies = [await worker.store.control.command("HGET", place.units, "*") for place in places(worker)]
    return [int(reply) for reply in replies if isinstance(reply, bytes)]


async def test_a_late_commit_that_one_slot_refuses_is_taken_back_in_the_other(
    started: Started, store_time: StoreTime, usage: Usage
) -> None:
    worker, other = started(), started()
    late = await worker.ask(BOTH, call=CALL)
    assert isinstance(late, Granted)
    store_time.advance(BUCKET_LEASE + 1)
    await other.ledger.settle(await taken_by_others(other, BOTH), Outcome.DELIVERED)
    receipt = worker.ledger.count(late.charge, None)
    assert receipt is not None
    with pytest.raises(Refused) as refused:
        await receipt.wait()
    assert refused.value.problem is TENANT_QUOTA_EXCEEDED
    await worker.ledger.settle(late.charge, Outcome.REFUND)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 0}
    assert await usage.by_credential(ACME_ID, PERIOD) == {"key_1": {"emails": 0}}
    assert await usage.of_org("main", PERIOD) == {"emails": 1}


async def test_a_server_that_is_away_holds_up_nothing_but_what_it_keeps(started: Started, usage: Usage) -> None:
    worker, other = started(), started()
    both, own = await worker.ask(BOTH), await worker.ask(SMS)
    assert isinstance(both, Granted)
    assert isinstance(own, Granted)
    worker.client.faults = {"other exchange": "request lost"}
    waiting = worker.ledger.count(both.charge, None)
    assert waiting is not None
    brief = await worker.ask(SLOT)
    assert isinstance(brief, Granted)
    worker.ledger.settle_soon(brief.charge, Outcome.DELIVERED)
    await asyncio.sleep(0.05)
    assert await other.admitted(SLOT) is not None
    assert await usage.of_org("main", PERIOD) == {}
    worker.client.faults = {}
    await waiting.wait()
    await worker.ledger.settle(own.charge, Outcome.DELIVERED, effect=Effect.NOTHING)
    assert await usage.of_org("main", PERIOD) == await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 1, "sms": 1}


async def test_a_record_of_the_organization_that_has_changed_takes_nothing_of_the_tenant(started: Started) -> None:
    worker, other = started(), started()
    org = replace(samples.MAIN, version=7)
    question = Admit(CALL, (org,), (SMS, SLOT, RATE, BOTH))
    assert isinstance(await worker.ledger.admit(question), Changed)
    assert isinstance(await other.ask(SMS, SLOT, RATE, BOTH), Granted)


async def test_at_the_months_edge_what_the_first_slot_lent_of_the_old_month_goes_back(
    started: Started, store_time: StoreTime, usage: Usage
) -> None:
    worker = started()
    store_time.set("2040-05-31T23:59:59.999+00:00")
    way_of(worker).between = lambda: store_time.set("2040-06-01T00:00:00+00:00")
    answer = await worker.ask(SLOT, RATE, SMS, BOTH)
    assert isinstance(answer, Granted)
    await worker.ledger.settle(answer.charge, Outcome.DELIVERED)
    assert await usage.of_tenant(ACME_ID, "2040-05") == {}
    assert await usage.of_tenant(ACME_ID, "2040-06") == {"sms": 1, "emails": 1}


async def test_what_goes_back_late_takes_nothing_of_what_was_lent_since(started: Started, store_time: StoreTime) -> None:
    worker, other = started(), started()
    slot = replace(SLOT, limit=3)
    await taken_by_others(other, BOTH)
    worker.client.faults = {"exchange": "request lost"}
    assert isinstance(await worker.ask(slot, BOTH), Denied)
    # It came back by itself meanwhile.
    store_time.advance(BUCKET_LEASE)
    assert await worker.admitted(slot) is not None
    worker.client.faults = {}
    await worker.ledger.flush()
    assert [await other.admitted(slot) is not None for _ in range(3)] == [True, True, False]
