"""Delivers what waits, by one gateway for all: in order for each webhook and tenant, within bounds for each owner."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from random import random

from gateway.clock import Clock
from gateway.errors import SECRETS_UNREADABLE, Refused
from gateway.registry.owner import Owner
from gateway.registry.webhooks import Held, Webhooks
from gateway.tenancy.webhook import TEST, Webhook

from .backoff import delay_after
from .event import Waiting
from .follow import Follower
from .hold import Hold
from .queue import OUTCOMES, Fate, Queue, Target, Told
from .send import Attempt, Sender

_log = logging.getLogger(__name__)

IN_FLIGHT, PER_OWNER, PER_WEBHOOK = 32, 8, 4
# At most so many webhooks of owners that are at their bound stand before those of others: 32 / 8 owners with 20 webhooks each,
# and the organization's.
_LOOKED_AT = 200
# Seconds. What is left of the hold is looked at once in twice _RENEW_EVERY, and must not end in between.
_PAUSE, _PAUSE_OF_FAULT, _RENEW_EVERY, _MARGIN = 0.5, 5.0, 1.5, 4.0
_DISABLED = Attempt(error="the webhook is disabled")

Lane = tuple[Target, str]


class Dispatcher:
    """`orgs` are the organizations' names. An event is sent until the endpoint has taken it: after a fault at this end it may
    be sent twice, with the same `webhook-id`. `chance`, between 0 and 1, spreads attempts; `ended` hears how each has ended."""

    def __init__(
        self,
        orgs: Collection[str],
        follower: Follower,
        queue: Queue,
        sender: Sender,
        webhooks: Webhooks,
        hold: Hold,
        clock: Clock,
        chance: Callable[[], float] = random,
        ended: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._orgs = orgs
        self._follower = follower
        self._queue = queue
        self._sender = sender
        self._webhooks = webhooks
        self._hold = hold
        self._clock = clock
        self._chance = chance
        self._ended = ended
        self._flying: dict[Lane, asyncio.Task[None]] = {}
        self._landed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._run())]

    async def close(self) -> None:
        """What is under way is broken off, and sent again by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._break_off()
        if self._hold.left > 0:
            await self._hold.give_back()

    async def turn(self) -> None:
        """Follow the trails, and begin all deliveries that are due. Raises Refused."""
        for org in self._orgs:
            while await self._follower.follow(org):
                pass
        await self._begin()

    async def landed(self) -> None:
        """Until all deliveries that are under way have ended."""
        while self._flying:
            await asyncio.gather(*self._flying.values(), return_exceptions=True)

    async def _keep(self) -> None:
        """Hold on, or break off what would go on beside the deliveries of another process."""
        while True:
            with suppress(Refused, TimeoutError):
                async with asyncio.timeout(_RENEW_EVERY):
                    await self._hold.renew()
            if self._hold.left < _MARGIN:
                await self._break_off()
            await asyncio.sleep(_RENEW_EVERY)

    async def _run(self) -> None:
        while True:
            self._landed.clear()
            pause = _PAUSE
            try:
                if self._hold.left > _MARGIN:
                    await self.turn()
            except Refused as refused:
                # The store tells of itself.
                if refused.problem is SECRETS_UNREADABLE:
                    _log.error("webhooks wait: %s", refused)
                pause = _PAUSE_OF_FAULT
            except Exception:
                _log.exception("webhooks wait")
                pause = _PAUSE_OF_FAULT
            with suppress(TimeoutError):
                await asyncio.wait_for(self._landed.wait(), pause)

    async def _break_off(self) -> None:
        tasks = list(self._flying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self) -> None:
        now = self._clock.now()
        for org in self._orgs:
            owners = Counter(target.owner for target, _ in self._flying)
            for target in await self._queue.due(org, now, _LOOKED_AT):
                free = self._free(target, owners)
                if free <= 0:
                    continue
                busy = {lane for other, lane in self._flying if other == target}
                lanes = await self._queue.lanes(target, now, free + len(busy))
                for lane in [lane for lane in lanes if lane not in busy][:free]:
                    owners[target.owner] += 1
                    self._fly(target, lane)

    def _free(self, target: Target, owners: Counter[Owner]) -> int:
        busy = sum(other == target for other, _ in self._flying)
        return min(PER_WEBHOOK - busy, PER_OWNER - owners[target.owner], IN_FLIGHT - len(self._flying))

    def _fly(self, target: Target, lane: str) -> None:
        task = asyncio.create_task(self._deliver(target, lane))
        self._flying[target, lane] = task

        def ended(task: asyncio.Task[None]) -> None:
            del self._flying[target, lane]
            self._landed.set()
            if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Refused):
                _log.error("a delivery to %s failed", target.webhook, exc_info=error)

        task.add_done_callback(ended)

    async def _deliver(self, target: Target, lane: str) -> None:
        """Raises Refused where the store can't be reached: the event stays where it is."""
        waiting = await self._queue.first(target, lane)
        if waiting is None:
            return
        held = await self._held(target)
        began, asked = self._clock.now(), self._clock.monotonic()
        if held is None:
            fate = Told(waiting.event.id, waiting.event.type, lane, waiting.attempts, "gone", began)
            await self._queue.settle(target, lane, waiting, fate)
            return
        attempt = await self._sender.send(held.webhook, waiting.event, began) if held.webhook.enabled else _DISABLED
        told = replace(self._told(waiting, lane, attempt, began), seconds=round(self._clock.monotonic() - asked, 3))
        self._ended(OUTCOMES[told.fate])
        await self._queue.settle(target, lane, waiting, told)
        if attempt.gone:
            await self._disable(held)

    async def _disable(self, held: Held) -> None:
        _log.warning("webhook %s is disabled: its endpoint is gone", held.webhook.id)

        def edit(hook: Webhook) -> Webhook:
            # Unless it leads elsewhere by now.
            return replace(hook, enabled=False) if hook.url == held.webhook.url else hook

        await self._webhooks.change(held, edit, fields=["enabled"])

    async def _held(self, target: Target) -> Held | None:
        """The webhook as it is now; None where it was deleted."""
        record = await self._webhooks.record(target.owner)
        hooks = () if record is None else record.webhooks
        return next((Held(target.org, target.owner, hook) for hook in hooks if hook.id == target.webhook), None)

    def _told(self, waiting: Waiting, lane: str, attempt: Attempt, began: float) -> Told:
        event, number, now = waiting.event, waiting.attempts + 1, self._clock.now()
        if attempt.error is None:
            return Told(event.id, event.type, lane, number, "done", began, attempt.status)
        final = attempt.gone or attempt is _DISABLED or event.type == TEST
        delay = None if final else delay_after(number, attempt.retry_after, self._chance)
        if delay is None:
            # Who has asked for a test looks at the outcome, and asks again.
            fate: Fate = "lost" if event.type == TEST else "dead"
            return Told(event.id, event.type, lane, number, fate, began, attempt.status, attempt.error)
        return Told(event.id, event.type, lane, number, "again", began, attempt.status, attempt.error, next_at=now + delay)
