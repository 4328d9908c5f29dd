from __future__ import annotations

from dataclasses import replace
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    CONCURRENCY_LIMITED,
    ORG_QUOTA_EXCEEDED,
    PLAN_LIMIT_REACHED,
    RATE_LIMITED,
    REPLAYED_REQUEST,
    TENANT_QUOTA_EXCEEDED,
)
from gateway.pipeline.demand import Nonce, Quota, Rate, Reserve, Slot, Standing
from gateway.pipeline.limits import limit_headers, refusal
from gateway.tenancy.plan import RateLimit

RATE = Rate("burst", "tenant", "acme", RateLimit.parse("100/minute"))
QUOTA = Quota("emails", cap=1000, org_cap=None)
SLOT = Slot("concurrency", "tenant", "acme", 3)
NONCE = Nonce("n", 600)


def headers(*standings: Standing) -> dict[str, str]:
    return dict(limit_headers(standings))


class TestTheHeaders:
    def test_are_those_of_the_draft(self):
        assert headers(Standing(RATE, True, remaining=50, reset=30.0)) == {
            "RateLimit-Policy": '"burst";q=100;w=60',
            "RateLimit": '"burst";r=50;t=30',
        }

    def test_list_every_limit_in_its_order(self):
        told = headers(Standing(RATE, True, 50, 29.2), Standing(QUOTA, True, 999, 86_400.0))
        assert told["RateLimit-Policy"] == '"burst";q=100;w=60, "emails";q=1000'
        assert told["RateLimit"] == '"burst";r=50;t=30, "emails";r=999;t=86400'

    def test_tell_the_tighter_of_two_caps(self):
        both = Quota("emails", cap=1000, org_cap=10)
        assert headers(Standing(both, True, 9, 60.0))["RateLimit-Policy"] == '"emails";q=10'
        org_only = Quota("emails", cap=None, org_cap=10)
        assert headers(Standing(org_only, True, 9, 60.0))["RateLimit-Policy"] == '"emails";q=10'

    def test_tell_a_cap_of_nothing(self):
        blocked = Quota("emails", cap=0, org_cap=None)
        assert headers(Standing(blocked, False, 0, 60.0, wait=60.0))["RateLimit-Policy"] == '"emails";q=0'

    def test_are_none_where_nothing_is_bounded(self):
        unlimited = Quota("emails", cap=None, org_cap=None)
        assert headers() == headers(Standing(unlimited, True, None), Standing(SLOT, True, 2), Standing(NONCE, True)) == {}


class TestTheOlderHeaders:
    def told(self, *standings: Standing) -> list[str | None]:
        sent = dict(limit_headers(standings, older=True))
        return [sent.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")]

    def test_are_sent_where_the_route_asks_for_them_only(self):
        assert not any(name.startswith("X-") for name in headers(Standing(RATE, True, 50, 29.2)))
        assert self.told(Standing(RATE, True, 50, 29.2)) == ["100", "50", "30"]

    def test_tell_the_limit_with_the_smallest_share_left(self):
        rate, quota = Standing(RATE, True, 50, 29.2), Standing(QUOTA, True, 60, 86_400.0)
        assert self.told(rate, quota) == self.told(quota, rate) == ["1000", "60", "86400"]

    def test_tell_of_two_that_are_used_up_the_one_that_takes_longer(self):
        rate, quota = Standing(RATE, False, 0, 60.0, wait=7.2), Standing(QUOTA, False, 0, 99.0, wait=99.0)
        assert self.told(rate, quota) == ["1000", "0", "99"]

    def test_tell_nothing_where_nothing_is_bounded(self):
        assert self.told(Standing(SLOT, True, 2), Standing(replace(RATE, shadow=True), True, 1)) == [None] * 3

    def test_are_on_a_refusal_too(self):
        refused = refusal([Standing(RATE, False, 0, 60.0, wait=7.2)], older=True)
        assert dict(refused.headers)["X-RateLimit-Reset"] == "8"

    def test_tell_a_cap_of_nothing(self):
        blocked = Quota("emails", cap=0, org_cap=None)
        assert self.told(Standing(blocked, False, 0, 60.0, wait=60.0)) == ["0", "0", "60"]


class TestARefusal:
    def test_has_the_code_of_the_limit_that_refused(self):
        codes = {
            RATE_LIMITED: Standing(RATE, False, 0, 60.0, wait=7.2),
            TENANT_QUOTA_EXCEEDED: Standing(QUOTA, False, 0, 60.0, wait=60.0),
            ORG_QUOTA_EXCEEDED: Standing(QUOTA, False, 0, 60.0, wait=60.0, by_org=True),
            CONCURRENCY_LIMITED: Standing(SLOT, False, 0, wait=1.0),
        }
        for problem, standing in codes.items():
            assert refusal([Standing(NONCE, True), standing]).problem is problem

    def test_lists_what_was_violated_and_nothing_else(self):
        refused = refusal(
            [Standing(RATE, True, 5, 9.0), Standing(QUOTA, False, 0, 60.0, wait=60.0), Standing(SLOT, False, 0, wait=1)]
        )
        assert refused.problem is TENANT_QUOTA_EXCEEDED
        assert refused.members == {"violated-policies": ["emails", "concurrency"]}
        assert "burst" not in dict(refused.headers)["RateLimit-Policy"]

    def test_waits_for_the_slowest_limit(self):
        refused = refusal([Standing(RATE, False, 0, 60.0, wait=7.2), Standing(QUOTA, False, 0, 99.0, wait=99.0)])
        assert refused.retry_after == 99.0

    def test_waits_a_second_at_least(self):
        assert refusal([Standing(SLOT, False, 0, wait=0.0)]).retry_after == 1

    def test_of_a_resource_names_the_plans_cap_and_no_time(self):
        refused = refusal([Standing(RATE, True, 5, 9.0), Standing(Reserve("users", 5), False, 0)])
        assert (refused.problem, refused.retry_after, refused.headers) == (PLAN_LIMIT_REACHED, None, ())
        assert refused.detail == "The plan allows 5 of users."
        assert refused.members == {"violated-policies": ["users"]}
        assert refusal([Standing(Reserve("users", 0), False, 0)]).detail == "The plan allows no users."

    def test_of_a_replay_says_nothing_of_limits(self):
        refused = refusal([Standing(NONCE, False), Standing(RATE, False, 0, 60.0, wait=7.2)])
        assert refused.problem is REPLAYED_REQUEST
        assert refused.retry_after is None
        assert refused.headers == ()
        assert refused.members == {}

    @given(st.lists(st.floats(0, 3e6), min_size=1, max_size=4))
    def test_never_says_to_come_back_before_a_limit_admits_again(self, waits):
        refused = refusal([Standing(RATE, False, 0, wait + 5, wait=wait) for wait in waits])
        states = dict(refused.headers)["RateLimit"].split(", ")
        assert len(states) == len(waits)
        assert refused.retry_after is not None
        for state in states:
            assert ceil(refused.retry_after) >= int(state.rpartition("t=")[2])
