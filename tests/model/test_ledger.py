"""The ledger keeps its invariants whatever happens, in whatever order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.store.slots import one_slot_a_call

from .end import check_end
from .network import SHARDS, STATES
from .scene import MIXES, OWNERS
from .workers import Worker
from .world import Change, Disturbance, Shape, World

# A larger run: LEDGER_EXAMPLES=2000 pytest tests/model/test_ledger.py
EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "25"))
STEPS = 30

# Most of it happens to a few: there it meets.
places = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4])
tenants = st.sampled_from([0, 0, 0, *range(len(OWNERS))])
spans = st.sampled_from([0.0, 0.001, 0.03, 0.2, 0.6, 1.1, 4.0, 7.0])
shapes = st.builds(
    Shape,
    tenant=tenants,
    mix=st.integers(0, MIXES - 1),
    lasts=spans | st.just(15.0),
    ending=st.sampled_from(["served", "failed", "gone"]),
    told=st.none() | st.integers(0, 5),
)
changes = st.builds(Change, st.sampled_from(["suspend", "reactivate", "rotate", "cap"]), st.sampled_from([10, 0, 5, 14, None]))
disturbances = st.builds(
    Disturbance,
    state=st.sampled_from(STATES),
    seconds=st.sampled_from([0.03, 0.6, 1.5, 4.0, 9.0]),
    deaf=st.booleans(),
    shard=st.sampled_from(SHARDS),
)


class LedgerMachine(RuleBasedStateMachine):
    socket: Path
    world: World

    @initialize(workers=st.integers(2, 5))
    def begin(self, workers: int) -> None:
        self.world = World(self.socket, workers)

    def _worker(self, place: int) -> Worker:
        return self.world.workers[place % len(self.world.workers)]

    @rule(
        place=places,
        shape=shapes,
        count=st.integers(1, 40),
        apart=st.sampled_from([0.001, 0.02, 0.25]),
        disturbed=st.none() | disturbances,
        changed=st.none() | changes,
    )
    def ask(
        self, place: int, shape: Shape, count: int, apart: float, disturbed: Disturbance | None, changed: Change | None
    ) -> None:
        """Several times. Meanwhile the worker may lose touch, and another one may change the tenant."""
        self.world.start(self.world.ask(self._worker(place), shape, count, apart))
        self.world.run(0.005)
        if disturbed is not None:
            self.world.disturb(self._worker(place), disturbed)
        if changed is not None:
            self.change(place + 1, shape.tenant, changed)

    @rule(place=places, tenant=tenants, change=changes)
    def change(self, place: int, tenant: int, change: Change) -> None:
        self.world.start(self.world.change(self._worker(place), tenant, change))
        self.world.run(0.005)

    @rule(seconds=spans)
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(place=places, disturbance=disturbances)
    def disturb(self, place: int, disturbance: Disturbance) -> None:
        self.world.disturb(self._worker(place), disturbance)

    @rule(place=places)
    def crash(self, place: int) -> None:
        self.world.crash(place % len(self.world.workers))

    @rule(seconds=st.sampled_from([0.3, 1.5, 6.0]))
    def stall(self, seconds: float) -> None:
        self.world.stall(seconds)

    @rule()
    def forget_scripts(self) -> None:
        self.world.server.execute("SCRIPT", "FLUSH")

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                check_end(self.world)
            finally:
                self.world.close()


def test_the_ledger_keeps_its_invariants(store_socket: Path) -> None:
    _run(store_socket)


def test_it_keeps_them_where_a_call_may_only_name_keys_of_one_slot(store_socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with one_slot_a_call(monkeypatch):
        _run(store_socket)


def _run(store_socket: Path) -> None:
    machine = type("Machine", (LedgerMachine,), {"socket": store_socket})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            report_multiple_bugs=False,
            # The same examples each time where nobody asked for more: a red build says that the code has changed.
            derandomize="LEDGER_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
