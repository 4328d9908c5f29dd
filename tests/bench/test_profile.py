"""The profile has every stage of the walk, they make up the whole, and none of it comes from requests that were refused."""

from __future__ import annotations

import asyncio
from importlib import import_module

import pytest

from bench.figures.bars import Bar, Bars
from bench.profiling.__main__ import profile
from bench.profiling.batches import Measured
from bench.profiling.inside import inside, request
from bench.profiling.overhead import Overhead
from bench.profiling.page import END, START, Page, rewritten
from bench.profiling.recorder import Edge, Recorded, by_stage
from bench.profiling.shares import shares
from bench.profiling.stages import OURSELVES, STAGES, Way, stage_of
from bench.profiling.transports import Client, MemoryLoop, Refused
from gateway.edge.head import read_head
from gateway.express.flow import Flow
from gateway.pipeline.memo import IdentityMemo
from gateway.routing.match import Router

NAMES = [stage.name for stage in STAGES]
HEAD, MATCH, MEMO = read_head.__code__, Router.match.__code__, IdentityMemo.__call__.__code__


@pytest.fixture(scope="module")
def page() -> Page:
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(profile(seconds=0.01, tenants=2, rounds=1))


def test_every_stage_of_a_way_is_there_with_calls_of_its_own_and_no_other_is(page):
    for hot in page.hot:
        assert [share.stage for share in hot.shares] == NAMES
        on_its_way = [stage.name for stage in STAGES if hot.way in stage.ways]
        assert [share.stage for share in hot.parts] == on_its_way
        assert [share.stage for share in hot.shares if share.calls >= 1] == on_its_way


def test_only_what_has_come_before_is_spared_the_walk(page):
    calls = {hot.name: sum(share.calls for share in hot.shares) for hot in page.hot}
    assert calls["JWT"] < calls["JWT, new head"] / 2
    assert [hot.way for hot in page.hot] == [Way.SHORT_CUT, Way.SHORT_CUT, Way.WALK]


def test_the_stages_make_up_what_a_request_takes_unrecorded(page):
    for hot in page.hot:
        assert sum(share.seconds for share in hot.shares) == pytest.approx(hot.measured.least)
        assert all(share.seconds >= 0 for share in hot.shares)


def test_the_page_shows_both_ways_both_credentials_all_stages_and_what_lies_off_the_path(page):
    first = [line.split("|")[1].strip() for line in page.text().splitlines() if line.startswith("|")]
    assert {"JWT", "API key", "JWT, new head", *NAMES, "sum"} <= set(first)
    assert {"a new token, HS256", "a new token, RS256", "an API key"} <= set(first)
    assert all(one.seconds > 0 for one in page.apart)
    assert [bar.name for bar in page.plot().bars] == [share.stage for share in page.hot[0].parts]


@pytest.mark.parametrize("place", [place for stage in STAGES for place in stage.places])
def test_every_place_of_a_stage_is_there(place):
    module, _, qualname = place.partition(":")
    found: object = import_module(module)
    for name in qualname.split(".") if qualname else ():
        found = vars(found)[name]


def test_a_function_of_no_stage_belongs_to_its_callers_by_the_time_that_it_took_for_each():
    assert stage_of(MEMO) is None
    edges = [Edge("", HEAD, 1, 0.0), Edge("", MATCH, 1, 0.0), Edge(HEAD, MEMO, 3, 1.0), Edge(MATCH, MEMO, 1, 3.0)]
    # What is called from there is told apart in the same way.
    recorded = by_stage([*edges, Edge(MEMO, "len", 4, 4.0)])
    stages = {NAMES[stage]: seconds for stage, seconds in enumerate(recorded.seconds) if seconds}
    assert stages == {"read the head": pytest.approx(2.0), "match the route": pytest.approx(6.0)}
    assert recorded.builtin[NAMES.index("match the route")] == pytest.approx(3.0)


def test_a_comprehension_belongs_to_the_function_that_it_stands_in():
    outer = Flow.opening.__code__
    inner = outer.replace(co_qualname=f"{outer.co_qualname}.<locals>.<listcomp>")
    assert stage_of(inner) == stage_of(outer) == NAMES.index("opening for the upstream")


def test_what_nobody_was_seen_to_call_is_the_profiles_own():
    recorded = by_stage([Edge("", MEMO, 1, 1.0)])
    assert recorded.seconds[NAMES.index(OURSELVES)] == 1.0
    assert sum(recorded.seconds) == 1.0


def test_recording_itself_is_taken_off_call_by_call_and_the_rest_scaled():
    others = [0.0] * (len(STAGES) - 2)

    def recorded(first: float, second: float) -> Recorded:
        return Recorded([first, second, *others], [10.0, 20.0, *others], [0.0, 30.0, *others])

    # Of four the quickest counts; the others were disturbed.
    batches = [recorded(9.0, 90.0), recorded(3.0, 7.0), recorded(2.0, 90.0), recorded(90.0, 5.0)]
    found = shares(Measured(2, [1.0, 4.0], batches, [recorded(9.0, 9.0)], 0, [1.0]), Overhead(call=0.2, builtin=0.02))
    # For one request: 1.5 - 5 * 0.2 and 3.5 - 10 * 0.2 - 15 * 0.02, which are 0.5 and 1.2 of 1.7.
    assert [share.seconds for share in found[:2]] == [pytest.approx(0.5 * 0.5 / 1.7), pytest.approx(0.5 * 1.2 / 1.7)]
    assert [(share.calls, share.builtin) for share in found[:2]] == [(5.0, 0.0), (10.0, 15.0)]


def test_a_request_that_is_refused_ends_the_profile():
    async def ask() -> None:
        async with inside(1) as running:
            client = Client(running.gateway)
            if not client.ask(request("/jwt/x", "X-Tenant: tenant-0")):
                await client.wait()

    with asyncio.Runner(loop_factory=MemoryLoop) as runner, pytest.raises(Refused, match="TOKEN_MISSING"):
        runner.run(ask())


def test_only_what_stands_between_the_marks_is_written_anew():
    assert rewritten(f"before\n{START}old{END}\nafter", "new\n") == f"before\n{START}new\n{END}\nafter"
    with pytest.raises(ValueError, match="no place"):
        rewritten("a page without marks", "new\n")


def test_bars_of_parts_begin_at_nothing():
    svg = Bars("parts", "µs", [Bar("none", 0, 0, 0), Bar("one", 4, 4, 4), Bar("three", 12, 12, 12)], linear=True).svg()
    widths = [float(line.partition('width="')[2].partition('"')[0]) for line in svg.splitlines() if 'height="18"' in line]
    assert widths == [0, pytest.approx(widths[2] / 3, abs=0.1), pytest.approx(widths[2])]
    assert widths[2] > 0
