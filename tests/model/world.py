"""A world of workers, tenants and requests in virtual time, in which things fail, and what must hold in it all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from gateway.errors import Refused
from gateway.ledger.charge import Charge
from gateway.ledger.ledger import Outcome
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.registry.tenants import NewTenant
from gateway.store.wire import Reply
from gateway.tenancy.tenant import Status, Tenant

from .journal import Journal, Request
from .network import Execution, Shard, State, executed
from .scene import CAPS, OWNERS, call, demands
from .virtual import VirtualClock, VirtualLoop, VirtualStore
from .workers import Worker

Ending = Literal["served", "failed", "gone"]
_GRANTED = 0


@dataclass(frozen=True)
class Shape:
    """Of a request: whose it is, what it demands, how long its upstream takes, how it ends, and what the upstream tells."""

    tenant: int
    mix: int
    lasts: float
    ending: Ending
    told: int | None


@dataclass(frozen=True)
class Change:
    """Of a tenant; `cap` is what becomes its cap of emails, where that changes."""

    what: Literal["suspend", "reactivate", "rotate", "cap"]
    cap: int | None = None


@dataclass(frozen=True)
class Disturbance:
    """Of a worker's way to the store, or to a shard of it, for some seconds; `deaf`: nor does it hear what is published."""

    state: State
    seconds: float
    deaf: bool
    shard: Shard


class World:
    def __init__(self, socket: Path, workers: int) -> None:
        self.clock = VirtualClock()
        self.loop = VirtualLoop(self.clock)
        self.prefix = f"t-{uuid4().hex[:12]}"
        self.server = VirtualStore(socket, self.clock, f"{self.prefix}:changes")
        self.failures: list[BaseException] = []
        self.loop.set_exception_handler(lambda loop, context: self.failures.append(_failure(context)))
        self.tasks: set[asyncio.Task[None]] = set()
        self.workers = [self.new_worker() for _ in range(workers)]
        self.dead: list[Worker] = []
        self.probed: dict[tuple[str, str], int] = {}
        self.journal = Journal(self.server, self.clock, self.workers)
        self.loop.run_until_complete(self._create())

    def new_worker(self) -> Worker:
        return Worker(self.server, self.clock, self.prefix, self._watch)

    async def _create(self) -> None:
        for number, org in enumerate(OWNERS):
            made = await self.workers[0].tenants.create(NewTenant(org, f"Tenant {number}"), lambda new: replace(new, caps=CAPS))
            self.journal.tenants[made.tenant.id] = made.tenant

    @property
    def tenants(self) -> list[Tenant]:
        return list(self.journal.tenants.values())

    def _watch(self, name: str) -> Callable[[Reply], None]:
        """What a refused admission leaves, and who hears what a script has published."""
        before = self.server.standing() if name == "admit" else {}

        def ran(reply: Reply) -> None:
            if name == "admit" and isinstance(reply, list) and reply[0] != _GRANTED:
                for what, number in self.server.standing().items():
                    assert number <= before.get(what, 0), f"I5: a refused request has taken of {what}"
            if name in ("admit", "write_record"):
                for message in self.server.published():
                    for worker in self.workers:
                        if not worker.link.deaf and worker.link.state in ("fine", "slow"):
                            self.loop.call_later(0.0002, worker.listener.receive, message)

        return ran

    def run(self, seconds: float) -> None:
        """Let so much time go by, and see that all is well."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.check()

    def check(self) -> None:
        if self.failures:
            raise self.failures[0]
        self.journal.check()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    async def ask(self, worker: Worker, shape: Shape, count: int, apart: float) -> None:
        for _ in range(count):
            if not worker.gone:
                self.start(self._request(worker, shape))
                await asyncio.sleep(apart)

    async def _request(self, worker: Worker, shape: Shape) -> None:
        """As the proxy carries it."""
        execution, tenant_id = Execution(), self.tenants[shape.tenant].id
        executed.set(execution)
        try:
            anew = False
            while (tenant := await worker.tenant(tenant_id, anew=anew)) and tenant.status is Status.ACTIVE:
                request = Request(worker, tenant, demands(tenant, shape.mix, len(self.journal.requests)))
                self.journal.requests.append(request)
                try:
                    answer = await self._asked(request, execution)
                    if isinstance(answer, Granted):
                        assert isinstance(answer.charge, Charge)
                        await self._answered(request, answer.charge, shape)
                finally:
                    request.ended = self.clock.monotonic()
                if not isinstance(answer, Changed):
                    return
                anew = True
        except Refused:
            pass

    async def _asked(self, request: Request, execution: Execution) -> Granted | Denied | Changed:
        worker, question = request.worker, Admit(call(request.tenant), (request.tenant,), request.demands)
        if (local := worker.ledger.take(question)) is not None:
            execution.at = 0
        answer = local or await worker.ledger.admit(question)
        if isinstance(answer, Granted):
            assert isinstance(answer.charge, Charge)
            self.journal.granted(request, answer.charge, execution.at)
        elif isinstance(answer, Denied):
            self.journal.denied(request, answer.standings)
        return answer

    async def _answered(self, request: Request, charge: Charge, shape: Shape) -> None:
        ledger, outcome = request.worker.ledger, Outcome.REFUND
        try:
            await asyncio.sleep(shape.lasts)
            if shape.ending == "served":
                receipt = ledger.count(charge, shape.told)
                if receipt is not None:
                    await receipt.wait()
                outcome, request.delivered = Outcome.DELIVERED, True
            elif shape.ending == "gone":
                outcome = Outcome.CLIENT_GONE
        finally:
            if not request.worker.gone:
                request.refunded = outcome is Outcome.REFUND
                ledger.settle_soon(charge, outcome, shape.told)

    async def change(self, author: Worker, number: int, change: Change) -> None:
        tenant_id = self.tenants[number].id

        def edit(old: Tenant) -> Tenant:
            self.journal.caps[tenant_id].append((old.version + 1, change.cap))
            return replace(old, caps={**old.caps, "emails": change.cap})

        try:
            match change.what:
                case "suspend":
                    new = await author.tenants.set_status(tenant_id, Status.SUSPENDED)
                case "reactivate":
                    new = await author.tenants.set_status(tenant_id, Status.ACTIVE)
                case "rotate":
                    new, _ = await author.tenants.rotate_secret(tenant_id)
                case _:
                    new = await author.tenants.change(tenant_id, edit)
        except Refused:
            return
        if not author.gone:
            self.journal.answered[tenant_id] = max(new.version, self.journal.answered.get(tenant_id, 0))

    def disturb(self, worker: Worker, disturbance: Disturbance) -> None:
        self._trouble(disturbance.seconds)
        worker.heal()
        worker.link.state, worker.link.deaf = disturbance.state, disturbance.deaf
        worker.link.shard = disturbance.shard if worker.store.sharded else "all"
        if not worker.in_touch:
            self._doubt(worker)
        self.loop.call_later(disturbance.seconds, worker.heal)

    def crash(self, place: int) -> None:
        self._trouble()
        worker = self.workers[place]
        worker.kill()
        self._doubt(worker)
        self.dead.append(worker)
        self.workers[place] = self.new_worker()

    def stall(self, seconds: float) -> None:
        """All workers stand still, and time goes on."""
        self._trouble()
        self.clock.advance(seconds)
        for worker in self.workers:
            worker.shaken()
            self._doubt(worker)

    def _trouble(self, seconds: float = 0.0) -> None:
        journal = self.journal
        journal.troubled_until = max(journal.troubled_until, self.clock.monotonic() + seconds)

    def calm(self) -> None:
        """Nothing fails from now on."""
        for worker in self.workers:
            worker.heal()

    def _doubt(self, worker: Worker) -> None:
        for request in self.journal.requests:
            if request.worker is worker and request.ended is None:
                request.doubtful = True

    def close(self) -> None:
        self.loop.run_until_complete(self._end())
        self.loop.close()
        self.server.close()

    async def _end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in (*self.workers, *self.dead)), return_exceptions=True)


def _failure(context: dict[str, Any]) -> BaseException:
    error = context.get("exception")
    return error if isinstance(error, BaseException) else AssertionError(context["message"])
