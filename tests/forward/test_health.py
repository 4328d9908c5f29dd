"""The state machines alone: told what happened and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forward.health import TargetHealth, UpstreamHealth
from gateway.settings.upstreams import Health

RULES = {"failures": 3, "eject": "10s", "longest": "60s", "max_ejected": 50}


def health_of(count: int, **passive: object) -> UpstreamHealth:
    active = {"path": "/healthz", "healthy": 2, "unhealthy": 3}
    return UpstreamHealth(Health.model_validate({"passive": RULES | passive, "active": active}), count)


def fail(target: TargetHealth, times: int, now: float) -> float:
    """For how long the last of the failures takes the target out."""
    return [target.failed(now) for _ in range(times)][-1]


def fit(health: UpstreamHealth, now: float) -> list[bool]:
    return [target.is_fit(now) for target in health.targets]


def test_so_many_failures_in_a_row_take_a_target_out_for_a_time() -> None:
    health = health_of(2)
    assert fail(health.targets[0], 2, now=100) == 0
    assert fit(health, 100) == [True, True]
    assert fail(health.targets[0], 1, now=101) == 10
    assert fit(health, 101) == fit(health, 110.9) == [False, True]
    assert [target.state(101) for target in health.targets] == ["ejected", "up"]
    assert fit(health, 111) == [True, True]
    assert [target.ejections for target in health.targets] == [1, 0]


def test_a_success_ends_the_row() -> None:
    target = health_of(2).targets[0]
    fail(target, 2, now=0)
    target.succeeded()
    assert fail(target, 2, now=0) == 0
    assert target.is_fit(0)


def test_none_is_left_out_where_failures_do_not_count() -> None:
    target = health_of(2, failures=0).targets[0]
    assert fail(target, 1000, now=0) == 0


def test_failures_of_requests_that_were_under_way_do_not_add_to_the_time() -> None:
    target = health_of(2).targets[0]
    fail(target, 3, now=0)
    assert fail(target, 50, now=9) == 0
    assert target.is_fit(10)


def test_a_target_that_comes_back_and_fails_is_out_at_once_and_for_longer_up_to_a_bound() -> None:
    target = health_of(2).targets[0]
    now, spans = 0.0, [fail(target, 3, now=0)]
    for _ in range(5):
        now += spans[-1]
        assert target.is_fit(now)
        spans.append(target.failed(now))
    assert spans == [10, 20, 40, 60, 60, 60]
    assert target.ejections == 6


def test_a_success_after_the_return_asks_for_a_whole_row_again() -> None:
    target = health_of(2).targets[0]
    fail(target, 3, now=0)
    target.succeeded()
    assert fail(target, 2, now=11) == 0
    assert target.failed(12) == 20


def test_a_target_that_was_well_for_long_is_left_out_for_the_first_time_only() -> None:
    target = health_of(2).targets[0]
    fail(target, 3, now=0)
    assert target.failed(10) == 20
    target.succeeded()
    assert fail(target, 3, now=10 + 20 + 60) == 10


@pytest.mark.parametrize(
    ("count", "share", "out"),
    [(1, 100, 0), (2, 50, 1), (3, 50, 1), (4, 50, 2), (10, 33, 3), (10, 0, 0), (3, 100, 3), (100, 29, 29)],
)
def test_never_more_than_a_share_of_the_targets_is_left_out_for_failures(count: int, share: int, out: int) -> None:
    health = health_of(count, max_ejected=share)
    for target in health.targets:
        fail(target, 5, now=0)
    assert fit(health, 0).count(False) == out


def test_targets_that_fail_their_checks_count_toward_the_share() -> None:
    health = health_of(4)
    for target in health.targets[:2]:
        assert [target.checked(False) for _ in range(3)] == [False, False, True]
    assert fail(health.targets[2], 5, now=0) == 0
    health.targets[1].checked(True)
    health.targets[1].checked(True)
    assert fail(health.targets[2], 1, now=0) == 10


def test_another_is_left_out_when_one_is_back() -> None:
    health = health_of(2)
    fail(health.targets[0], 3, now=0)
    assert fail(health.targets[1], 3, now=9) == 0
    assert fail(health.targets[1], 1, now=10) == 10
    assert fit(health, 10) == [True, False]


def test_checks_take_a_target_out_after_so_many_and_bring_it_back_after_so_many() -> None:
    target = health_of(1).targets[0]
    told = [target.checked(passed) for passed in (False, False, True, False, False, False, False)]
    assert told == [False, False, False, False, False, True, False]
    assert (target.state(0), target.is_fit(0)) == ("down", False)
    assert [target.checked(passed) for passed in (True, False, True, True, True)] == [False, False, False, True, False]
    assert target.state(0) == "up"


def test_a_target_that_fails_its_checks_is_not_brought_back_by_time_or_requests() -> None:
    target = health_of(2).targets[0]
    for _ in range(3):
        target.checked(False)
    target.succeeded()
    target.reached()
    assert not target.is_fit(1e9)


def test_a_target_that_could_not_be_reached_rests_for_a_moment_or_until_it_is_reached() -> None:
    target = health_of(2).targets[0]
    assert target.unreachable(5) == 0
    assert (target.is_fit(5.9), target.is_fit(6), target.state(5.9)) == (False, True, "up")
    target.unreachable(7)
    target.reached()
    assert target.is_fit(7)
    target.unreachable(8)
    assert target.ejections == 1


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["succeeded", "failed", "unreachable"]), st.floats(0, 30)), max_size=60
)


@given(EVENTS, st.integers(0, 100))
def test_the_share_holds_and_no_time_is_too_long_whatever_happens(events: list[tuple[int, str, float]], share: int) -> None:
    health, now = health_of(5, max_ejected=share), 0.0
    for index, event, passed in events:
        now += passed
        target = health.targets[index]
        if event == "succeeded":
            target.succeeded()
        else:
            span = target.failed(now) if event == "failed" else target.unreachable(now)
            assert span == 0 or (10 <= span <= 60 and not target.is_fit(now))
        assert sum(target.state(now) == "ejected" for target in health.targets) * 100 <= share * 5
        assert all(target.is_fit(now + 61) for target in health.targets)
