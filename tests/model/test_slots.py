"""Slots hold while the store remembers them, and a late release frees nobody else's."""

from __future__ import annotations

from tests.model.slots import Faults, run


def test_requests_that_are_renewed_never_run_beyond_the_limit() -> None:
    found = run(Faults())
    assert found.broken == "", found.way
    assert found.states > 50


def test_a_late_release_that_freed_anybodys_slot_would_let_too_many_run() -> None:
    found = run(Faults(frees_anybodys=True))
    assert found.broken == "I1: more requests run than there are slots"


def test_a_promotion_that_forgets_slots_lets_too_many_run() -> None:
    found = run(Faults(promotion_forgets=True))
    assert found.way == ["a slot is taken", "the store is promoted", "a slot is taken"]
