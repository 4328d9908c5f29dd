"""When what has failed is tried again."""

from __future__ import annotations

import pytest

from gateway.webhooks.backoff import DELAYS, LONGEST, delay_after


@pytest.mark.parametrize("failures", range(1, len(DELAYS) + 1))
def test_a_delay_lies_between_a_half_and_the_whole_of_its_step(failures: int) -> None:
    step = DELAYS[failures - 1]
    assert delay_after(failures, chance=lambda: 0.0) == step / 2
    assert delay_after(failures, chance=lambda: 1.0) == step
    drawn = {delay_after(failures) for _ in range(20)}
    assert len(drawn) > 1
    assert all(delay is not None and step / 2 <= delay <= step for delay in drawn)


def test_after_the_last_step_there_is_no_further_attempt() -> None:
    assert delay_after(len(DELAYS) + 1, retry_after=5) is None


def test_an_endpoint_may_ask_for_more_time_and_not_for_less() -> None:
    assert delay_after(1, 60, lambda: 1.0) == 60
    assert delay_after(2, 1, lambda: 1.0) == DELAYS[1]
    assert delay_after(1, 10 * LONGEST, lambda: 1.0) == LONGEST
