"""What is billed: units of a metric that a tenant used on a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from hashlib import sha256
from uuid import UUID

from gateway.tenancy.ids import typeid


@dataclass(frozen=True, slots=True)
class Use:
    """Of a day's count, the units after `start`, which were told before, up to `end`. `customer` is the tenant's at Stripe."""

    org: str
    tenant: UUID
    customer: str | None
    metric: str
    day: date
    start: int
    end: int

    @property
    def units(self) -> int:
        return self.end - self.start

    @property
    def id(self) -> str:
        """The same whenever the same units are told, and of no others: who bills takes it for what was there already."""
        told = "\n".join(map(str, (self.org, self.tenant, self.metric, self.day, self.start, self.end)))
        return f"use_{sha256(told.encode()).hexdigest()[:40]}"

    @property
    def tenant_id(self) -> str:
        return typeid("tnt", self.tenant)

    @property
    def instant(self) -> datetime:
        """The last second of the day."""
        return datetime.combine(self.day, time(23, 59, 59), UTC)
