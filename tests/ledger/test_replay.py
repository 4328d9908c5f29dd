"""What journals hold is counted once, in every counter, by whoever comes to it, and whatever is lost on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import Refused
from gateway.ledger.journal import Journal
from gateway.ledger.replay import Replay
from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from tests.ledger.test_journal import ROOMY, STORE, SUBJECT, die
from tests.ledger.workers import FaultyClient
from tests.samples import ACME, GLOBEX

PERIOD = SUBJECT.period


@pytest.fixture
def client(store: Store, store_url: str) -> FaultyClient:
    client = store.data = FaultyClient(store_url)
    return client


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path, STORE, ROOMY)


@pytest.fixture
async def replay(store: Store, client: FaultyClient, tmp_path: Path, journal: Journal) -> AsyncIterator[Replay]:
    replay = Replay(store, tmp_path, STORE, journal)
    yield replay
    client.faults = {}
    with suppress(OSError):
        await replay.close()


def another(store: Store, directory: Path) -> Replay:
    """Of a worker that has no journal of its own."""
    return Replay(store, directory, STORE, None)


async def counted(usage: Usage) -> tuple[int, int, int]:
    """Of the tenant, its organization, its key."""
    of_tenant, of_org = await usage.of_tenant(ACME.id, PERIOD), await usage.of_org("main", PERIOD)
    of_key = (await usage.by_credential(ACME.id, PERIOD)).get("key_1", {})
    return of_tenant.get("messages", 0), of_org.get("messages", 0), of_key.get("messages", 0)


async def test_all_three_counters_move_and_the_journal_is_empty(replay, journal, usage, store):
    journal.append(SUBJECT, 3)
    journal.append(replace(SUBJECT, credential=None), 4)
    journal.append(replace(SUBJECT, tenant=GLOBEX.id), 5)
    await replay.count_own()
    assert await counted(usage) == (7, 12, 3)
    assert journal.waiting == 0
    expires = await store.data.command("TTL", store.keys.usage(str(ACME.id), PERIOD))
    assert isinstance(expires, int)
    assert expires > 0, "counters of a month must not stay for ever"


async def test_a_platforms_key_is_counted_over_all_tenants_too(replay, journal, usage):
    root = replace(SUBJECT, root=True)
    journal.append(root, 3)
    journal.append(replace(root, tenant=GLOBEX.id), 4)
    journal.append(replace(SUBJECT, credential="key_9"), 5)
    await replay.count_own()
    assert await usage.by_platform_key("main", PERIOD) == {"key_1": {"messages": 7}}


async def test_what_was_taken_back_is_not_counted(replay, journal, usage):
    journal.append(SUBJECT, 3)
    journal.append(SUBJECT, 2)
    journal.append(SUBJECT, -3)
    await replay.count_own()
    assert await counted(usage) == (2, 2, 2)


async def test_no_counter_goes_below_nothing(replay, journal, usage):
    journal.append(SUBJECT, -3)
    await replay.count_own()
    journal.append(SUBJECT, 1)
    await replay.count_own()
    assert await counted(usage) == (1, 1, 1)


async def test_many_entries_are_counted_in_few_calls(replay, journal, usage, client, servers):
    for _ in range(1200):
        journal.append(SUBJECT, 1)
    await replay.count_own()
    assert await counted(usage) == (1200, 1200, 1200)
    assert client.calls.count("replay") <= 5 * (2 if servers == "sharded" else 1)


async def test_what_comes_meanwhile_waits_for_the_next_time(replay, journal, usage, client):
    journal.append(SUBJECT, 1)
    await replay.count_own()
    journal.append(SUBJECT, 2)
    assert journal.waiting == 1
    await replay.count_own()
    assert await counted(usage) == (3, 3, 3)


@pytest.mark.parametrize("fault", ["request lost", "reply lost"])
async def test_a_call_that_is_lost_counts_once(replay, journal, usage, client, fault):
    for units in (1, 2, 3):
        journal.append(SUBJECT, units)
    client.faults = {"replay": fault}
    for _ in range(3):
        with pytest.raises(Refused):
            await replay.count_own()
    journal.append(SUBJECT, 4)
    client.faults = {}
    await replay.count_own()
    assert await counted(usage) == (10, 10, 10)
    assert journal.waiting == 0


async def test_a_worker_that_is_killed_is_counted_by_another(store, usage, tmp_path):
    die(tmp_path)
    await another(store, tmp_path).adopt()
    assert await counted(usage) == (5050, 5050, 5050)
    assert Journal.paths(tmp_path) == []


@pytest.mark.parametrize("fault", ["request lost", "reply lost"])
async def test_one_that_died_between_counting_and_noting_it_is_not_counted_twice(
    replay, journal, usage, client, store, tmp_path, fault
):
    journal.append(SUBJECT, 1)
    await replay.count_own()
    journal.append(SUBJECT, 2)
    client.faults = {"replay": fault}
    with pytest.raises(Refused):
        await replay.count_own()
    journal.append(SUBJECT, 4)
    journal.release()
    client.faults = {}
    await another(store, tmp_path).adopt()
    assert await counted(usage) == (7, 7, 7)


async def test_a_journal_is_kept_until_it_is_counted(journal, usage, client, store, tmp_path):
    journal.append(SUBJECT, 5)
    journal.release()
    other = another(store, tmp_path)
    client.faults = {"replay": "request lost"}
    with pytest.raises(Refused):
        await other.adopt()
    client.faults = {}
    await other.adopt()
    await other.adopt()
    assert await counted(usage) == (5, 5, 5)
    assert Journal.paths(tmp_path) == []


async def test_those_that_live_keep_theirs(replay, journal, usage, store, tmp_path):
    journal.append(SUBJECT, 5)
    await another(store, tmp_path).adopt()
    await replay.adopt()
    assert await counted(usage) == (0, 0, 0)
    assert journal.waiting == 1


async def test_the_counts_of_another_store_are_not_counted_here(usage, store, tmp_path, caplog):
    strange = Journal.create(tmp_path, "another store", ROOMY)
    strange.append(SUBJECT, 5)
    strange.release()
    other = another(store, tmp_path)
    await other.adopt()
    await other.adopt()
    assert await counted(usage) == (0, 0, 0)
    assert len(Journal.paths(tmp_path)) == 1
    assert caplog.text.count("is left alone") == 1


async def test_at_the_end_it_is_counted_or_left_for_the_next_gateway(journal, usage, client, store, tmp_path):
    ending = Replay(store, tmp_path, STORE, journal)
    journal.append(SUBJECT, 5)
    client.faults = {"replay": "request lost"}
    await ending.close()
    assert len(Journal.paths(tmp_path)) == 1
    client.faults = {}
    await another(store, tmp_path).adopt()
    assert await counted(usage) == (5, 5, 5)


async def test_one_that_is_empty_goes_with_its_worker(journal, store, tmp_path):
    await Replay(store, tmp_path, STORE, journal).close()
    assert Journal.paths(tmp_path) == []
