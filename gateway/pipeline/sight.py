"""The records that a decision is made upon, as far as they were looked at."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from gateway.errors import ROUTE_NOT_FOUND, Refused
from gateway.tenancy.domain import domain_name
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant

from .lookup import Lookup, Record, TenantByHost
from .question import Answer, Question, Resolve
from .request import InboundRequest


class Records(Protocol):
    def peek(self, lookup: Lookup) -> Record | None:
        """The record as last seen here. It may be old: an admission under it holds only if the store finds it current."""

    def leased(self, record: Record) -> bool:
        """Whether the record is current at this moment for all whose changes have answered; the store need not be asked."""


class Sight:
    """The records that one round of a walk decides upon, and which of them came from the store during the walk."""

    def __init__(self, records: Records, stale_for: float | None) -> None:
        self._records = records
        self._stale_for = stale_for
        self._seen: dict[Lookup, Record | None] = {}
        self._fresh: set[Lookup] = set()

    @property
    def basis(self) -> tuple[Record, ...]:
        found = tuple(record for record in self._seen.values() if record is not None)
        if len(found) < 2:
            return found
        # A record that several lookups lead to is named once.
        return tuple({(record.id, record.version): record for record in found}.values())

    def find(self, lookup: Lookup) -> Generator[Question, Answer, Record | None]:
        if lookup not in self._seen:
            record = self._records.peek(lookup)
            if record is None:
                record = yield from resolved(lookup, self._stale_for)
                self._fresh.add(lookup)
            self._seen[lookup] = record
        return self._seen[lookup]

    def hosted(self, request: InboundRequest) -> Generator[Question, Answer, Tenant]:
        """The tenant that the request's host belongs to. Raises Refused(ROUTE_NOT_FOUND)."""
        name = domain_name(request.hostname)
        record = None if name is None else (yield from self.find(TenantByHost(name)))
        if not isinstance(record, Tenant):
            raise Refused(ROUTE_NOT_FOUND)
        return record

    def learn(self, lookup: Lookup, record: Record) -> None:
        """`lookup` leads to `record` now, by the store's own word."""
        self._seen[lookup] = record
        self._fresh.add(lookup)

    def renewed(self) -> Generator[Question, Answer, bool]:
        """Look up again what was only remembered, and is not leased; whether anything is different now."""
        different = False
        for lookup, seen in list(self._seen.items()):
            if lookup in self._fresh or (seen is not None and self._records.leased(seen)):
                continue
            record = yield from resolved(lookup, self._stale_for)
            different |= record != self._seen[lookup]
            self._seen[lookup] = record
            self._fresh.add(lookup)
        return different


def resolved(lookup: Lookup, stale_for: float | None = None) -> Generator[Question, Answer, Record | None]:
    record = yield Resolve(lookup, stale_for)
    assert record is None or isinstance(record, Tenant | Organization)
    return record
