"""Items about what requests have used, made and proved: each as exchange.lua reads it, and what becomes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.store.wire import Part

from .bucket import Index, QuotaBucket
from .item import Item, Replies, Silent
from .lease import Lease


@dataclass(frozen=True, slots=True)
class Counters:
    """Which counters move together: the bucket's two, and `field` of the hash `credential` where a credential is counted; of a
    platform's key that of `over_all` too, its organization's hash: what it used for all tenants. All expire at `expires`, in
    seconds since 1970."""

    bucket: QuotaBucket
    credential: str | None
    field: str
    expires: int
    over_all: str | None = None

    @property
    def at(self) -> tuple[str, str]:
        """One key of each group that some of them may be in: the tenant's, the organization's."""
        return (self.bucket.tenant, self.bucket.org)

    def refunds(self, units: int) -> tuple[Sequence[Refund], Sequence[Refund]]:
        """What takes back that so many were counted: of the tenant and its credential, of the organization and its key."""
        bucket = self.bucket
        of_tenant = [Refund(bucket.tenant, bucket.metric, units, daily=True)]
        if self.credential is not None:
            of_tenant.append(Refund(self.credential, self.field, units))
        of_org = [Refund(bucket.org, bucket.metric, units)]
        if self.over_all is not None:
            of_org.append(Refund(self.over_all, self.field, units))
        return of_tenant, of_org


@dataclass(frozen=True, slots=True)
class HeldResource:
    """A reservation of `holder` in the sorted set `key`; what it becomes is counted in `resource` of the hash `counts`.
    `holder` is None where the request deletes one: then nothing is held."""

    key: str
    counts: str
    resource: str
    holder: str | None


@dataclass(slots=True, eq=False)
class Commit:
    """`units` are to be counted, of which `held` are held of the lease. `done` becomes whether they were: everywhere."""

    answers: ClassVar[int] = 1
    counters: Counters
    lease: Lease | None
    done: asyncio.Future[bool]
    units: int = 0
    held: int = 0
    forced: bool = False

    @property
    def at(self) -> tuple[str, ...]:
        return self.counters.at

    def parts(self, index: Index) -> Sequence[Part]:
        counters, epoch = self.counters, "" if self.lease is None else self.lease.epoch
        credential = 0 if counters.credential is None else index(counters.credential)
        amounts = (epoch, self.units, self.held, int(self.forced))
        over_all = 0 if counters.over_all is None else index(counters.over_all)
        return ("commit", *counters.bucket.parts(index), *amounts, credential, over_all, counters.field, counters.expires)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        if self.lease is not None:
            self.lease.busy -= self.held
        counted = [reply[0] == 1 for reply in replies]
        if not self.done.done():
            self.done.set_result(all(counted))
        if all(counted) or not any(counted):
            return ()
        of_tenant, of_org = self.counters.refunds(self.units)
        return of_tenant if counted[0] else of_org


@dataclass(slots=True, eq=False)
class Refund(Silent):
    """`daily`: what it takes back was counted by day besides."""

    key: str
    field: str
    units: int
    daily: bool = False

    @property
    def at(self) -> tuple[str, ...]:
        return (self.key,)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("refund", index(self.key), self.field, self.units, int(self.daily))


@dataclass(slots=True, eq=False)
class RenewRecord:
    """`renewed` is told when it was asked, or None where the record has changed."""

    answers: ClassVar[int] = 1
    key: str
    leases: str
    version: int
    renewed: Callable[[float | None], None]

    @property
    def at(self) -> tuple[str, ...]:
        return (self.key,)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("record", index(self.key), index(self.leases), self.version)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        self.renewed(asked if replies[0][0] == 1 else None)
        return ()


@dataclass(slots=True, eq=False)
class Drop(Silent):
    """A reservation that became nothing."""

    key: str
    holder: str

    @property
    def at(self) -> tuple[str, ...]:
        return (self.key,)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("drop", index(self.key), self.holder)


@dataclass(slots=True, eq=False)
class Made(Silent):
    held: HeldResource

    @property
    def at(self) -> tuple[str, ...]:
        return (self.held.key,)

    def parts(self, index: Index) -> Sequence[Part]:
        assert self.held.holder is not None
        return ("made", index(self.held.key), index(self.held.counts), self.held.resource, self.held.holder)


@dataclass(slots=True, eq=False)
class Forget(Silent):
    """A nonce of a request that was not admitted in the end."""

    key: str

    @property
    def at(self) -> tuple[str, ...]:
        return (self.key,)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("nonce", index(self.key))
