"""The protocol of lent units holds, and each of its rules is needed."""

from __future__ import annotations

import pytest

from tests.model.settlement import run
from tests.model.settlement_state import Bounds, Faults

# Of each: as little as a fault needs, so that all orders can be tried.
SCENES = {
    "no fault": Bounds(cap=2, workers=2, requests=2, extra=1),
    "an answer is lost": Bounds(cap=2, losses=1, repeats=1),
    "a response is aborted": Bounds(cap=2, requests=2, refunds=1, repeats=1),
    "units are recalled": Bounds(cap=2, workers=2, requests=2, asks=1, extra=1, repeats=1),
    "leases end": Bounds(workers=2, requests=2, asks=1, horizon=2, keeps=False),
    "leases end and a response is aborted": Bounds(workers=2, requests=2, asks=1, horizon=2, refunds=1, keeps=False),
}
PLANTED = {
    "counts_from_receipt": ("leases end", "I4: units that a worker holds are lent again"),
    "commits_again": ("an answer is lost", "I6: a request is charged twice"),
    "gives_again": ("units are recalled", "I4: units that a worker holds are lent again"),
    "refunds_again": ("a response is aborted", "I2: delivered more than counted"),
    "accepts_late_blindly": ("leases end", "I1: committed more than the cap"),
    "delivers_before_acknowledged": ("an answer is lost", "I2: delivered more than counted"),
    "keeps_the_epoch_of_a_lost_answer": ("an answer is lost", "I4: units are stranded with a live worker"),
    "refuses_without_recall": ("no fault", "I4: refused while units are idle"),
    "refunds_a_refused_commit": ("leases end and a response is aborted", "I2: delivered more than counted"),
}


@pytest.mark.parametrize("bounds", SCENES.values(), ids=SCENES.keys())
def test_the_invariants_hold_in_every_order(bounds: Bounds) -> None:
    found = run(bounds, Faults())
    assert found.broken == "", found.way
    assert found.states > 100


@pytest.mark.parametrize("fault", PLANTED)
def test_without_any_of_its_rules_the_protocol_breaks(fault: str) -> None:
    scene, invariant = PLANTED[fault]
    found = run(SCENES[scene], Faults(**{fault: True}))
    assert found.broken == invariant, found.way
