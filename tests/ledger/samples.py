"""A ledger over the real store, whose time the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

from gateway.clock import Clock, SystemClock
from gateway.ledger.ledger import Ledger, Outcome
from gateway.ledger.remembered import Trust
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from gateway.store.lease import RECORD_LEASE
from tests import samples


@dataclass
class StoreTime:
    """Microseconds since 1970, and the worker's clock too. Far ahead, so that nothing expires under a test. `real` is when it
    was moved last."""

    micros: int = int(datetime(2040, 5, 15, tzinfo=UTC).timestamp()) * 1_000_000
    real: float = field(default_factory=monotonic)

    def __call__(self) -> int:
        return self.micros

    def now(self) -> float:
        return self.micros / 1_000_000

    def monotonic(self) -> float:
        return self.micros / 1_000_000

    def set(self, text: str) -> None:
        self.micros = round(datetime.fromisoformat(text).timestamp() * 1_000_000)

    def advance(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)


@dataclass
class Leisurely:
    """A worker's clock that goes on by a second with each look: nothing comes often enough to be worth a lease, so that every
    request asks the store."""

    seconds: float = 0.0

    def now(self) -> float:
        return datetime(2040, 5, 15, tzinfo=UTC).timestamp()

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


@dataclass(frozen=True)
class Forever:
    until: float = float("inf")


@dataclass
class Forgotten:
    records: list[Record] = field(default_factory=list)

    def forget(self, record: Record) -> None:
        self.records.append(record)

    def learn(self, record: Record, asked: float) -> None:
        pass

    def leased(self, record: Record) -> bool:
        return True

    def lease_left(self, record: Record) -> float:
        return RECORD_LEASE

    def trust(self, record: Record) -> Trust:
        return Forever()


def ledger_over(store: Store, forgotten: Forgotten, store_time: StoreTime | None = None, clock: Clock | None = None) -> Ledger:
    """`clock` is the worker's; none: the store's time if that is given, else the system's."""
    if store_time is None:
        return Ledger(store, forgotten, clock or SystemClock())
    return Ledger(store, forgotten, clock or store_time, store_time)


CALL = samples.call(samples.BOUND_KEY)


async def ask(
    ledger: Ledger, *demands: Demand, call: Call = CALL, basis: tuple[Record, ...] = ()
) -> Granted | Denied | Changed:
    return await ledger.admit(Admit(call, basis, demands))


async def granted(ledger: Ledger, *demands: Demand, call: Call = CALL) -> Granted:
    answer = await ask(ledger, *demands, call=call)
    assert isinstance(answer, Granted)
    return answer


async def served(ledger: Ledger, *demands: Demand, call: Call = CALL) -> Granted:
    """Granted, delivered, and counted."""
    answer = await granted(ledger, *demands, call=call)
    await ledger.settle(answer.charge, Outcome.DELIVERED)
    return answer


async def denied(ledger: Ledger, *demands: Demand, call: Call = CALL) -> Denied:
    answer = await ask(ledger, *demands, call=call)
    assert isinstance(answer, Denied)
    return answer


ACME_ID: UUID = samples.ACME.id
