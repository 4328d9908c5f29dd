"""The protocol of lent cells holds, and each of its rules is needed."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.model.rates import Faults, run


def test_no_window_admits_more_than_the_burst_and_what_came_back_in_it() -> None:
    found = run(Faults())
    assert found.broken == "", found.way
    assert found.states > 1000


@pytest.mark.parametrize("fault", [field.name for field in fields(Faults)])
def test_without_any_of_its_rules_a_window_admits_too_much(fault: str) -> None:
    assert run(Faults(**{fault: True})).broken == "I1: a window admits more than burst + rate * T"
