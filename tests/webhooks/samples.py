"""Webhooks over the real store, with a clock that the test moves, delivered to this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from uuid import UUID

from gateway.registry.owner import Owner
from gateway.registry.tenants import NewTenant
from gateway.registry.webhooks import Held
from gateway.tenancy.tenant import Status, Tenant
from gateway.webhooks.address import Rules
from gateway.webhooks.dispatch import Dispatcher
from gateway.webhooks.follow import Follower
from gateway.webhooks.hold import Hold
from gateway.webhooks.letters import Letters
from gateway.webhooks.queue import Queue, Target
from gateway.webhooks.send import Resolve, Sender
from tests.registry.samples import ORGS, Registry

HERE = Rules(allow_http=True, allow_private=(ip_network("127.0.0.0/8"),))


async def as_written(host: str, port: int) -> Sequence[str]:
    return [host]


@dataclass
class Stand:
    registry: Registry
    queue: Queue
    letters: Letters
    dispatcher: Dispatcher
    follower: Follower

    async def hook(self, url: str, owner: Owner = "platform", events: tuple[str, ...] | None = None) -> tuple[Held, str]:
        # Not in the instant of what has happened before.
        self.registry.clock.time += 1
        return await self.registry.webhooks.create("platform", owner, url, events, "")

    async def tenant(self, name: str = "Acme") -> Tenant:
        return (await self.registry.tenants.create(NewTenant("platform", name))).tenant

    async def suspend(self, tenant: UUID) -> None:
        await self.registry.tenants.set_status(tenant, Status.SUSPENDED, "unpaid")

    async def turn(self) -> None:
        """Everything that is due is delivered, and what follows from that."""
        waiting = -1
        while waiting != (waiting := await self.attempts()):
            await self.dispatcher.turn()
            await self.dispatcher.landed()

    async def attempts(self) -> int:
        """How many there have been, over all webhooks."""
        store = self.registry.store
        keys = await store.control.command("KEYS", f"{store.keys.changes.removesuffix('changes')}*:log")
        assert isinstance(keys, list)
        lengths = await store.control.gather([("XLEN", key) for key in keys if isinstance(key, bytes)])
        return sum(length for length in lengths if isinstance(length, int))

    async def waiting(self, held: Held) -> int:
        name = Target.of(held).name
        count = await self.registry.store.control.command("HGET", self.registry.store.keys.webhooks_waiting("platform"), name)
        return int(count) if isinstance(count, bytes) else 0


def stand_over(registry: Registry, rules: Rules = HERE, resolve: Resolve = as_written) -> Stand:
    queue = Queue(registry.store)
    follower = Follower(registry.audit, registry.webhooks, queue, registry.clock)
    hold = Hold(registry.store, registry.clock, "webhooks-hold")
    sender = Sender(rules, resolve)
    dispatcher = Dispatcher(ORGS, follower, queue, sender, registry.webhooks, hold, registry.clock, lambda: 1.0)
    return Stand(registry, queue, Letters(registry.store), dispatcher, follower)
