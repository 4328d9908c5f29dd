from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gateway.forward.balance import Balance, Order
from gateway.forward.endpoint import Endpoint
from gateway.forward.health import UpstreamHealth
from gateway.forward.target import Target
from gateway.settings.upstreams import Upstream

from .servers import OK, answering, fetch, serving, upstreams


class HandClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def balance_of(count: int, order: Order = "least_outstanding", clock: HandClock | None = None) -> Balance:
    settings = Upstream.model_validate(
        {
            "targets": [f"http://127.0.0.1:{port}" for port in range(1, count + 1)],
            "health": {"passive": {"failures": 1, "max_ejected": 100}},
        }
    )
    health, clock = UpstreamHealth(settings.health, count).targets, clock or HandClock()
    targets = [Target(Endpoint.of(url), settings, own, clock) for url, own in zip(settings.targets, health, strict=True)]
    return Balance(targets, order, clock)


def chosen(balance: Balance, times: int) -> list[int]:
    return [balance.choose().endpoint.port for _ in range(times)]


@pytest.mark.parametrize("order", ["least_outstanding", "round_robin"])
def test_a_target_that_was_tried_is_not_chosen_again(order: Order) -> None:
    balance = balance_of(3, order)
    tried = balance.targets[:2]
    assert all(balance.choose(tried) is balance.targets[2] for _ in range(6))
    assert balance.has_other(tried)
    assert not balance.has_other(balance.targets)
    assert balance.choose(balance.targets) in balance.targets


@pytest.mark.parametrize("order", ["least_outstanding", "round_robin"])
def test_targets_that_are_even_have_their_turns(order: Order) -> None:
    assert Counter(chosen(balance_of(3, order), 300)) == {1: 100, 2: 100, 3: 100}


@pytest.mark.parametrize("order", ["least_outstanding", "round_robin"])
def test_a_target_that_is_not_fit_is_passed_over_and_its_share_goes_to_all_others(order: Order) -> None:
    clock = HandClock()
    balance = balance_of(3, order, clock)
    balance.targets[0].let_down("It is a test.")
    assert Counter(chosen(balance, 300)) == {2: 150, 3: 150}
    clock.time = 10.0
    assert set(chosen(balance, 3)) == {1, 2, 3}


def test_a_target_that_is_not_fit_is_used_before_one_that_was_tried() -> None:
    balance = balance_of(2)
    balance.targets[0].let_down("It is a test.")
    assert balance.choose(balance.targets[1:]) is balance.targets[0]


@pytest.mark.parametrize("order", ["least_outstanding", "round_robin"])
def test_where_none_is_fit_all_are_used(order: Order) -> None:
    balance = balance_of(3, order)
    for target in balance.targets:
        target.let_down("It is a test.")
    assert Counter(chosen(balance, 30)) == {1: 10, 2: 10, 3: 10}


def test_the_only_target_is_used_whatever_its_health() -> None:
    balance = balance_of(1)
    for _ in range(100):
        balance.targets[0].let_down("It is a test.")
    assert chosen(balance, 1) == [1]


@pytest.mark.parametrize(("order", "is_used"), [("least_outstanding", False), ("round_robin", True)])
async def test_a_target_that_is_busier_has_to_be_waited_for_only_by_turn(order: Order, is_used: bool) -> None:
    async with (
        serving(answering(OK)) as one,
        serving(answering(OK)) as two,
        upstreams(one.url, two.url, balance=order) as pool,
        pool.tunnel("u", asyncio.Protocol),
    ):
        busy = next(status.target for status in pool.health() if status.outstanding)
        for _ in range(6):
            await fetch(pool)
        assert [bool(status.idle) for status in pool.health() if status.target == busy] == [is_used]
