"""One call for all that a worker has to tell, whoever it is for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import pytest

from gateway.ledger.bucket import Index, QuotaBucket
from gateway.ledger.exchange import LATER, Exchange
from gateway.ledger.item import Item, Replies
from gateway.ledger.items import Counters, Refund
from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from gateway.store.keyspace import org_tag, tenant_tag
from gateway.store.wire import Part

from .samples import ACME_ID, StoreTime

PERIOD = "2040-05"


class Clumsy:
    """An item that fails when it is answered."""

    answers: ClassVar[int] = 1
    at = ("{x}:no-such-record",)

    def parts(self, index: Index) -> Sequence[Part]:
        return ("record", index("{x}:no-such-record"), index("{x}:leases"), 7)

    def answered(self, replies: Replies, asked: float, now: float) -> Iterable[Item]:
        raise ValueError


@pytest.fixture
def exchange(store: Store, store_time: StoreTime) -> Exchange:
    return Exchange(store, store_time, store_time, "worker-1")


def counters(store: Store, metric: str = "emails") -> Counters:
    keys = (store.keys.usage(tenant_tag(ACME_ID), PERIOD), store.keys.usage(org_tag("main"), PERIOD))
    return Counters(QuotaBucket(*keys, metric, None, None, None, None), None, "", 2287785600)


async def test_an_item_that_fails_harms_no_other_of_its_call(
    exchange: Exchange, store: Store, usage: Usage, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.add(Clumsy(), LATER)
    commit = exchange.commit(counters(store), None, units=2, held=0, lazy=False)
    await exchange.flush()
    assert commit.done.result()
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 2}
    assert "was not understood" in caplog.text


async def test_a_call_of_before_that_arrives_late_does_nothing(
    exchange: Exchange, store: Store, store_time: StoreTime, usage: Usage
) -> None:
    exchange.commit(counters(store), None, units=1, held=0, lazy=False)
    exchange.commit(counters(store, "sms"), None, units=1, held=0, lazy=False)
    await exchange.flush()
    exchange.commit(counters(store), None, units=1, held=0, lazy=False)
    await exchange.flush()
    # Another of the same name begins to count anew: its first call is one that was seen, its number is lower.
    late = Exchange(store, store_time, store_time, "worker-1")
    late.add(Refund(store.keys.usage(tenant_tag(ACME_ID), PERIOD), "emails", 2), LATER)
    await late.close(0.05)
    assert await usage.of_tenant(ACME_ID, PERIOD) == {"emails": 2, "sms": 1}
