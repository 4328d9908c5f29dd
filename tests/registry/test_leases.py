"""After a change has answered, no worker admits under what was before it: in every order of asking, answering and losing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit
from gateway.registry.tenants import NewTenant
from gateway.tenancy.tenant import Tenant
from tests import samples
from tests.registry.workers import Life, StandingClock, Worker, worker

T = TypeVar("T")
ANY = st.integers(0, 1000)
WORKERS = st.integers(0, 1)
_CHANGES_AT_ONCE = 2


class Leases(RuleBasedStateMachine):
    """Two workers and a tenant. Answers of the store and messages are held back, lost, and arrive in any order."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.prefix = url, f"t-{uuid4().hex[:12]}"
        self.loop = asyncio.new_event_loop()
        self.clock, self.life = StandingClock(), Life()
        self.workers = [self.run(self.started()) for _ in range(2)]
        self.answers: list[tuple[Worker, Record, float]] = []
        self.messages: list[tuple[Worker, int]] = []
        self.changes: list[tuple[Worker, asyncio.Task[Tenant]]] = []
        tenant = self.run(self.workers[0].tenants.create(NewTenant("platform", "Acme"))).tenant
        self.tenant_id = tenant.id
        self.written = self.answered = tenant.version

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def started(self) -> Worker:
        return worker(self.url, self.prefix, self.clock, self.life)

    def teardown(self) -> None:
        for one in self.workers:
            self.run(self.ended(one))
        self.loop.close()

    async def ended(self, one: Worker) -> None:
        for change in [change for author, change in self.changes if author is one]:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
        await one.close()

    @rule(number=WORKERS)
    def ask(self, number: int) -> None:
        """The store has answered; the answer is under way."""
        one = self.workers[number]
        asked = self.clock.monotonic()
        record = self.run(one.shelf.lease(self.tenant_id))
        assert record is not None
        self.answers.append((one, record, asked))

    @precondition(lambda self: self.answers)
    @rule(which=ANY)
    def answer_arrives(self, which: int) -> None:
        one, record, asked = self.answers.pop(which % len(self.answers))
        one.records.learn(record, asked)

    @rule(number=WORKERS)
    def admit(self, number: int) -> None:
        """Ask for an admission under what is remembered, leased or not."""
        one = self.workers[number]
        record = one.records._memory.get(self.tenant_id)
        if isinstance(record, Tenant):
            self.run(one.ledger.admit(Admit(samples.call(samples.JWT, record), (record,), ())))

    @precondition(lambda self: len(self.changes) < _CHANGES_AT_ONCE)
    @rule(number=WORKERS, again=st.booleans())
    def change(self, number: int, again: bool) -> None:
        """Start a change; `again`: one that changes nothing, since another has made it so."""
        name = "Acme" if again else f"Acme {uuid4()}"
        one = self.workers[number]
        edit = one.tenants.change(self.tenant_id, lambda old: old if again else replace(old, name=name))
        self.changes.append((one, self.loop.create_task(edit)))

    @precondition(lambda self: self.messages)
    @rule(which=ANY, lost=st.booleans())
    def message(self, which: int, lost: bool) -> None:
        one, version = self.messages.pop(which % len(self.messages))
        if not lost and one in self.workers:
            self.run(one.hear(self.tenant_id, version))

    @rule(seconds=st.sampled_from([0.3, 0.6, 1.1]))
    def wait(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule(number=WORKERS)
    def crash(self, number: int) -> None:
        """Another takes its place. The changes that it was making may have been made."""
        self.run(self.ended(self.workers[number]))
        self.workers[number] = self.run(self.started())

    @rule(promoted=st.booleans())
    def store_restarts(self, promoted: bool) -> None:
        """And has lost its leases; `promoted`: another server, that has been up for long, is the store now."""
        self.life.number += 1
        self.life.promoted = promoted
        self.life.began = float("-inf") if promoted else self.clock.monotonic()
        one = self.workers[0]
        tag = str(self.tenant_id)
        self.run(one.store.control.command("DEL", one.store.keys.leases(tag), one.store.keys.outdated(tag)))

    @invariant()
    def no_worker_trusts_what_a_change_has_answered_for(self) -> None:
        self.run(self.settled())
        for one in self.workers:
            trusted = one.trusted(self.tenant_id)
            assert trusted is None or trusted.version >= self.answered

    async def settled(self) -> None:
        """Let every change look twice, then see which have answered."""
        for _, change in self.changes:
            until = self.clock.pauses + 3 * len(self.changes)
            while not change.done() and self.clock.pauses < until:
                await asyncio.sleep(0)
        over = [change for _, change in self.changes if change.done()]
        self.changes = [(one, change) for one, change in self.changes if change not in over]
        for change in over:
            if not change.cancelled() and change.exception() is None:
                self.answered = max(self.answered, change.result().version)
        record = await self.workers[0].shelf.tenant(self.tenant_id, self.workers[0].store.control)
        assert record is not None
        if record.version > self.written:
            self.messages += [(one, record.version) for one in self.workers]
            self.written = record.version


def test_no_worker_admits_under_a_version_that_a_change_has_ended(store_url: str) -> None:
    run_state_machine_as_test(
        lambda: Leases(store_url), settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )
