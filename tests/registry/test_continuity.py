from __future__ import annotations

from gateway.registry.continuity import Continuity, Incarnation
from gateway.store.connect import Store
from gateway.store.lease import RECORD_LEASE
from tests.registry.samples import ManualClock

OLD, NEW = Incarnation("a", 1000, promoted=False), Incarnation("b", 1000, promoted=False)


def test_a_store_that_has_been_up_for_long_is_trusted_at_first_sight() -> None:
    assert Continuity(ManualClock()).unbroken(OLD)


def test_a_store_that_has_just_started_may_have_forgotten_leases() -> None:
    assert not Continuity(ManualClock()).unbroken(Incarnation("a", 1, promoted=False))


def test_another_store_than_before_is_trusted_after_one_lease_whatever_it_says_of_itself() -> None:
    clock = ManualClock()
    continuity = Continuity(clock)
    continuity.unbroken(OLD)
    assert not continuity.unbroken(NEW)
    clock.time += RECORD_LEASE * 1.1
    assert continuity.unbroken(NEW)
    assert not continuity.unbroken(OLD)


def test_a_promoted_replica_is_trusted_after_one_lease_even_at_first_sight() -> None:
    clock = ManualClock()
    continuity, promoted = Continuity(clock), Incarnation("a", 1000, promoted=True)
    assert not continuity.unbroken(promoted)
    clock.time += RECORD_LEASE * 1.1
    assert continuity.unbroken(promoted)


async def test_a_real_store_tells_its_name_and_that_it_was_never_promoted(store: Store) -> None:
    sections = [await store.control.command("INFO", name) for name in ("server", "replication")]
    assert all(isinstance(section, bytes) for section in sections)
    seen = Incarnation.of(*sections)  # type: ignore[arg-type]
    assert len(seen.name) == 80
    assert seen.uptime >= 0
    assert not seen.promoted
