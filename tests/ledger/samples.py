"""A ledger over the real store, whose time the test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from gateway.clock import SystemClock
from gateway.ledger.ledger import Ledger
from gateway.pipeline.call import Call
from gateway.pipeline.demand import Demand
from gateway.pipeline.lookup import Record
from gateway.pipeline.question import Admit, Changed, Denied, Granted
from gateway.store.connect import Store
from tests import samples


@dataclass
class StoreTime:
    """Microseconds since 1970. Far ahead, so that nothing expires under a test."""

    micros: int = int(datetime(2040, 5, 15, tzinfo=UTC).timestamp()) * 1_000_000

    def __call__(self) -> int:
        return self.micros

    def set(self, text: str) -> None:
        self.micros = round(datetime.fromisoformat(text).timestamp() * 1_000_000)

    def advance(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)


@dataclass
class Forgotten:
    records: list[Record] = field(default_factory=list)

    def forget(self, record: Record) -> None:
        self.records.append(record)

    def learn(self, record: Record, asked: float) -> None:
        pass

    def leased(self, record: Record) -> bool:
        return True


def ledger_over(store: Store, forgotten: Forgotten, store_time: Callable[[], int | None] = lambda: None) -> Ledger:
    return Ledger(store, forgotten, SystemClock(), store_time)


CALL = samples.call(samples.BOUND_KEY)


async def ask(
    ledger: Ledger, *demands: Demand, call: Call = CALL, basis: tuple[Record, ...] = ()
) -> Granted | Denied | Changed:
    return await ledger.admit(Admit(call, basis, demands))


async def granted(ledger: Ledger, *demands: Demand, call: Call = CALL) -> Granted:
    answer = await ask(ledger, *demands, call=call)
    assert isinstance(answer, Granted)
    return answer


async def denied(ledger: Ledger, *demands: Demand, call: Call = CALL) -> Denied:
    answer = await ask(ledger, *demands, call=call)
    assert isinstance(answer, Denied)
    return answer


ACME_ID: UUID = samples.ACME.id
