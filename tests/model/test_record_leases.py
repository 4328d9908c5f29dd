"""The protocol of record leases holds, and each of its rules is needed."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.model.record_leases import Bounds, Faults, run

# Of each: as little as a fault needs, so that all orders can be tried.
SCENES = {
    "two workers": Bounds(workers=2, asks=1),
    "messages are lost": Bounds(asks=2, losses=2),
    "a worker or an author dies": Bounds(asks=2, deaths=1),
    "the store restarts": Bounds(asks=2, restarts=1),
    "everything at once": Bounds(asks=1, losses=1, deaths=1, restarts=1),
}


@pytest.mark.parametrize("bounds", SCENES.values(), ids=SCENES.keys())
def test_nothing_is_admitted_under_a_version_after_its_change_has_answered(bounds: Bounds) -> None:
    found = run(bounds=bounds)
    assert found.broken == "", found.way
    assert found.states > 1000


@pytest.mark.parametrize("fault", [field.name for field in fields(Faults)])
def test_without_any_of_its_rules_the_protocol_breaks(fault: str) -> None:
    assert any(run(Faults(**{fault: True}), bounds).broken for bounds in SCENES.values())
