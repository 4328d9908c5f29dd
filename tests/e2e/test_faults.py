"""Faults under load, on four workers: short runs of what `python -m bench.faults` does at length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.faults import failover, killing, outage, quota, suspension
from bench.faults.stack import Stack, running

from .test_lifecycle import eventually, linux

pytestmark = linux

# A loaded machine may keep the store's answers back longer than the usual 50 ms, and a refusal for that is no fault.
PATIENT = {"TENANTGATE__STORE__DEADLINE": "5s"}


@pytest.fixture(scope="module")
def whole() -> Iterator[Stack]:
    with running(**PATIENT) as stack:
        yield stack


@pytest.fixture(scope="module")
def prompt() -> Iterator[Stack]:
    """One that waits for its store as long as a gateway does by itself."""
    with running() as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    """Shared: it is whole at the beginning and the end of every test."""
    yield whole
    whole.link.let_through()
    eventually(whole.is_whole)


@pytest.mark.parametrize("units", [1, 10, 1000])
async def test_500_clients_on_four_workers_are_given_exactly_the_units_there_are(stack: Stack, units: int) -> None:
    outcome = await quota.exhaust(stack, units, 500)
    assert outcome.holds, outcome
    assert outcome.at_once == units
    assert outcome.lost == 0


@pytest.mark.parametrize("units", [1, 10, 1000])
async def test_the_units_of_a_killed_worker_come_back_and_none_is_given_twice(stack: Stack, units: int) -> None:
    outcome = await quota.exhaust(stack, units, 500, kill=True)
    assert outcome.holds, outcome


async def test_what_clients_received_is_counted_whichever_worker_dies(stack: Stack) -> None:
    outcome = await killing.kill(stack, 3)
    assert outcome.holds, outcome
    assert not [kind for kind in outcome.answers if kind not in ("200", "none", "broken off")], outcome


async def test_no_worker_lets_a_request_in_once_a_suspension_has_answered(stack: Stack) -> None:
    outcome = await suspension.suspend(stack, 20)
    assert outcome.holds, outcome


async def test_a_suspension_holds_where_no_worker_is_told_of_it(stack: Stack) -> None:
    stack.link.deafen()
    outcome = await suspension.suspend(stack, 3)
    assert outcome.holds, outcome
    assert min(outcome.took) > 0.5, "it was told of after all"


@pytest.mark.parametrize("name", outage.FAULTS)
async def test_a_store_that_fails_costs_refusals_in_time_and_no_unit(prompt: Stack, name: str) -> None:
    away = 3.0
    outcome = await outage.break_off(prompt, outage.FAULTS[name], away)
    assert outcome.holds, outcome
    # Each takes some 50 ms; what is held here is that nobody waits for as long as the store is away.
    assert all(seconds < away for seconds in outcome.refused), outcome
    assert outcome.refused or name == "scripts forgotten", outcome


@pytest.mark.parametrize("behind", [0, 0.2], ids=["in step", "behind"])
async def test_a_replica_that_takes_over_costs_no_more_than_what_it_lacks(behind: float) -> None:
    with running() as stack:
        outcome = await failover.promote(stack, behind)
    assert outcome.holds, outcome
