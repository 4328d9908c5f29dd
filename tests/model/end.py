"""The end of a model's run: all is healed and done, so that nothing is held, and exactly the rest can be admitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.pipeline.demand import Demand
from gateway.pipeline.question import Admit, Changed, Granted
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.store.lease import BUCKET_LEASE
from gateway.tenancy.tenant import Status, Tenant

from .scene import METRICS, ORG_CAPS, RATES, SLOTS, call, quota, rate, slot
from .world import Change, World


def check_end(world: World) -> None:
    world.calm()
    for number in range(len(world.tenants)):
        world.run(1.0)
        world.start(world.change(world.workers[0], number, Change("reactivate")))
    _finish(world)
    world.run(2 * BUCKET_LEASE + 2)
    for worker in world.workers:
        busy = [lease for lease in worker.ledger._book.living if lease.busy or lease.idle]
        assert not busy, f"I4: {busy} held by nobody"
    world.run(RATES["long"].window)
    for key in world.server.texts("KEYS", "*:ends"):
        assert world.server.number("ZCOUNT", key, world.clock.micros, "+inf") == 0, f"I4: {key} is lent still"
    for org in {tenant.org for tenant in world.tenants}:
        for metric in METRICS:
            world.journal.check_settled(org, metric)
    world.loop.run_until_complete(_exactly_the_rest(world))
    world.check()


def _finish(world: World) -> None:
    """Wait for all that is under way."""
    for _ in range(100):
        if not world.tasks:
            return
        world.run(1.0)
    raise AssertionError(f"{len(world.tasks)} never end")


async def _exactly_the_rest(world: World) -> None:
    for tenant in world.tenants:
        current = await world.workers[0].tenant(tenant.id, anew=True)
        assert current is not None
        if current.status is not Status.ACTIVE:
            continue
        for metric in ("emails", "tokens", "calls"):
            await _check_rest(world, current, metric)
        await _check_refused(world, current)
        await _check_admits(world, current, slot, SLOTS, "slots")
        for name in ("quick", "long"):
            await _check_admits(world, current, partial(rate, name=name), RATES[name].burst, "cells")


async def _check_rest(world: World, tenant: Tenant, metric: str) -> None:
    cap, org_cap = tenant.caps.get(metric), ORG_CAPS.get(metric)
    bounds = [cap - world.journal.counted(tenant_tag(tenant.id), metric)] if cap is not None else []
    if org_cap is not None:
        bounds.append(org_cap - world.journal.counted(org_tag(tenant.org), metric) - _held(world, tenant, metric))
    if bounds:
        await _check_admits(world, tenant, partial(quota, metric=metric), max(0, min(bounds)), metric)


async def _check_refused(world: World, tenant: Tenant) -> None:
    """The organization has no calls left. What is asked for beside them has to be there afterwards, all of it."""
    for worker in world.workers:
        record = await worker.tenant(tenant.id, anew=False)
        assert record is not None
        question = Admit(call(record), (record,), (rate(record, "long"), slot(record), quota(record, "calls")))
        answer = worker.ledger.take(question) or await worker.ledger.admit(question)
        assert not isinstance(answer, Granted), "I1: more calls than the organization's cap"


def _held(world: World, tenant: Tenant, metric: str) -> int:
    return world.probed.get((tenant.org, metric), 0)


async def _check_admits(world: World, tenant: Tenant, demand: Callable[[Tenant], Demand], expected: int, what: str) -> None:
    """Whichever worker is asked: what others hold and do not use is given back in time."""
    admitted = 0
    while True:
        worker = world.workers[admitted % len(world.workers)]
        record = await worker.tenant(tenant.id, anew=False)
        assert record is not None
        question = Admit(call(record), (record,), (demand(record),))
        answer = worker.ledger.take(question) or await worker.ledger.admit(question)
        if isinstance(answer, Changed):
            continue
        if not isinstance(answer, Granted):
            break
        admitted += 1
        assert admitted <= expected + (what == "cells"), f"I4: more than {expected} {what} admitted"
    world.probed[tenant.org, what] = world.probed.get((tenant.org, what), 0) + admitted
    assert admitted >= expected, f"I4: {admitted} {what} admitted of {expected}"
