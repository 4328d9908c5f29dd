"""A request whose second slot refuses has taken nothing of the first, and each rule of that is needed."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.model.two_slots import Bounds, Faults, run

# Of each: as little as a fault needs, so that all orders can be tried.
SCENES = {
    "no fault": Bounds(workers=2, asks=3),
    "the second slot refuses": Bounds(workers=2, others=1, repeats=1),
    "an answer is lost": Bounds(losses=1, repeats=1),
    "a worker dies between the two": Bounds(workers=2, deaths=1, horizon=2),
    "leases end": Bounds(losses=1, repeats=1, horizon=2),
}
PLANTED = {
    "keeps_what_was_lent": ("the second slot refuses", "I5: a refused request has taken something"),
    "gives_again": ("an answer is lost", "I1: what is in use is lent again"),
    "keeps_the_epoch_past_its_end": ("leases end", "I1: what is in use is lent again"),
    "keeps_the_epoch_of_a_lost_answer": ("an answer is lost", "I5: a refused request has taken something"),
    "refuses_for_what_may_come_back": ("no fault", "I4: refused for what is given back"),
}


@pytest.mark.parametrize("bounds", SCENES.values(), ids=SCENES.keys())
def test_the_invariants_hold_in_every_order(bounds: Bounds) -> None:
    found = run(bounds, Faults())
    assert found.broken == "", found.way
    assert found.states > 50


@pytest.mark.parametrize("fault", [field.name for field in fields(Faults)])
def test_without_any_of_its_rules_the_protocol_breaks(fault: str) -> None:
    scene, invariant = PLANTED[fault]
    found = run(SCENES[scene], Faults(**{fault: True}))
    assert found.broken == invariant, found.way
