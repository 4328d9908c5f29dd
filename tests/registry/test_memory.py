"""A worker's side of a lease."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from gateway.registry.memory import Memory
from gateway.store.lease import DRIFT, RECORD_LEASE
from gateway.tenancy.tenant import Tenant
from tests.registry.samples import ManualClock
from tests.samples import ACME, GLOBEX

NEW = replace(ACME, version=ACME.version + 1)


def remembering(size: int = 10, tombstones: int = 10, space: int = 1 << 20) -> tuple[Memory, ManualClock]:
    clock = ManualClock()
    return Memory(clock, size, tombstones, space), clock


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    memory, clock = remembering()
    asked = clock.monotonic()
    clock.time += 0.7
    memory.learn(ACME, asked)
    assert memory.leased(ACME)
    clock.time = asked + RECORD_LEASE - DRIFT
    assert not memory.leased(ACME)
    assert memory.get(ACME.id) == ACME


def test_a_record_is_as_old_as_the_last_answer_that_it_is_current() -> None:
    memory, clock = remembering()
    assert memory.age(ACME) == float("inf")
    asked = clock.monotonic()
    clock.time += 0.5
    memory.learn(ACME, asked)
    clock.time = asked + 100
    assert memory.age(ACME) == pytest.approx(100)
    assert memory.age(NEW) == float("inf")
    memory.learn(ACME, clock.monotonic() - 1)
    assert memory.age(ACME) == pytest.approx(1)
    memory.drop(ACME.id, NEW.version)
    assert memory.age(ACME) == float("inf")


def test_a_lease_is_of_one_version() -> None:
    memory, clock = remembering()
    memory.learn(NEW, clock.monotonic())
    assert memory.leased(NEW)
    assert not memory.leased(ACME)


def test_answers_that_cross_leave_the_longer_lease_and_the_newer_version() -> None:
    memory, clock = remembering()
    early = clock.monotonic()
    clock.time += 0.5
    memory.learn(NEW, clock.monotonic())
    memory.learn(NEW, early)
    memory.learn(ACME, clock.monotonic())
    clock.time = early + RECORD_LEASE
    assert memory.leased(NEW)


def test_an_answer_that_was_on_its_way_does_not_revive_what_was_dropped() -> None:
    memory, clock = remembering()
    asked = clock.monotonic()
    memory.learn(ACME, asked)
    memory.drop(ACME.id, NEW.version)
    assert memory.get(ACME.id) is None
    memory.learn(ACME, asked)
    assert memory.get(ACME.id) is None
    memory.learn(NEW, clock.monotonic())
    assert memory.leased(NEW)


def test_an_old_message_drops_no_newer_record() -> None:
    memory, clock = remembering()
    memory.learn(NEW, clock.monotonic())
    memory.drop(ACME.id, NEW.version)
    memory.drop(ACME.id, ACME.version)
    assert memory.leased(NEW)
    memory.learn(ACME, clock.monotonic())
    assert memory.leased(NEW)


def test_what_was_dropped_is_forgotten_after_one_lease() -> None:
    memory, clock = remembering()
    asked = clock.monotonic()
    memory.drop(ACME.id, NEW.version)
    clock.time += RECORD_LEASE
    memory.learn(ACME, asked)
    assert not memory.leased(ACME)
    memory.learn(ACME, clock.monotonic())
    assert memory.leased(ACME)


def test_more_drops_than_can_be_remembered_cost_leases_and_never_revive_a_record() -> None:
    memory, clock = remembering(tombstones=1)
    asked = clock.monotonic()
    memory.drop(ACME.id, NEW.version)
    memory.drop(GLOBEX.id, GLOBEX.version + 1)
    for record in (ACME, GLOBEX):
        memory.learn(record, asked)
        assert not memory.leased(record)
    clock.time += 0.1
    memory.learn(NEW, clock.monotonic())
    assert memory.leased(NEW)


def sized(number: int, branding: int, version: int = 1) -> Tenant:
    """With so many bytes of branding."""
    profile = replace(ACME.profile, branding={"logo": "x" * branding})
    return replace(ACME, id=UUID(int=number), profile=profile, version=version)


def test_large_records_push_out_the_least_used_ones_by_their_size() -> None:
    memory, clock = remembering(size=100, space=100_000)
    for number in range(20):
        memory.learn(sized(number, 1), clock.monotonic())
    assert len(memory) == 20
    assert memory.get(UUID(int=0)) is not None
    memory.learn(sized(99, 80_000), clock.monotonic())
    assert 2 < len(memory) < 20
    assert memory.leased(sized(99, 80_000))
    assert memory.leased(sized(0, 1)), "it was used last"
    assert not memory.leased(sized(1, 1))


def test_what_is_forgotten_or_replaced_takes_no_space_any_more() -> None:
    memory, clock = remembering(size=100, space=100_000)
    memory.learn(sized(1, 1), clock.monotonic())
    for version in range(1, 50):
        memory.learn(sized(2, 60_000, version), clock.monotonic())
        memory.learn(sized(2, 60_000, version), clock.monotonic())
    memory.forget(UUID(int=2))
    memory.learn(sized(3, 60_000), clock.monotonic())
    memory.drop(UUID(int=3), 2)
    memory.learn(sized(4, 60_000), clock.monotonic())
    assert memory.leased(sized(1, 1))
    memory.clear()
    clock.time += 0.1
    memory.learn(sized(5, 1), clock.monotonic())
    memory.learn(sized(6, 60_000), clock.monotonic())
    assert memory.leased(sized(5, 1))


def test_a_record_that_is_larger_than_all_the_space_is_remembered_alone() -> None:
    memory, clock = remembering(space=10_000)
    memory.learn(ACME, clock.monotonic())
    memory.learn(sized(2, 50_000), clock.monotonic())
    assert memory.leased(sized(2, 50_000))
    assert not memory.leased(ACME)
