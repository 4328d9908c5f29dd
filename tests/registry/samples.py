"""A registry over the real store, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass

from gateway.registry.audit import Audit
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.idempotency import Answers
from gateway.registry.keys import Keys
from gateway.registry.records import Records
from gateway.registry.revocation import TokenRevocations
from gateway.registry.shelf import Shelf
from gateway.registry.tenants import Tenants
from gateway.store.connect import Store
from gateway.tenancy.org import Organization

KEY = b64encode(b"k" * 32).decode()
ORGS = {"platform": Organization("platform", default_plan="free"), "other": Organization("other", default_plan="free")}


@dataclass
class ManualClock:
    """`time` is wall time. What was waited moves the monotonic clock alone."""

    time: float = 1_780_000_000.0
    waited: float = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time + self.waited

    async def pause(self, seconds: float) -> None:
        """Others run meanwhile."""
        await asyncio.sleep(0)
        self.waited += seconds


@dataclass
class Registry:
    shelf: Shelf
    records: Records
    tenants: Tenants
    keys: Keys
    clock: ManualClock
    audit: Audit
    store: Store
    answers: Answers
    revocations: TokenRevocations
    changes: Changes


def registry_over(store: Store, cipher: Cipher | None = None) -> Registry:
    cipher = cipher or Cipher(KEY)
    shelf, clock = Shelf(store, cipher, ORGS), ManualClock()
    records = Records(shelf, clock)
    changes = Changes(shelf, records, clock, clock.pause)
    tenants, keys, answers = Tenants(changes), Keys(changes, "tg"), Answers(store, cipher)
    revocations = TokenRevocations(changes)
    return Registry(shelf, records, tenants, keys, clock, changes.audit, store, answers, revocations, changes)
