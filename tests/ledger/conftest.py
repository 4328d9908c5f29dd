from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.ledger.ledger import Ledger
from gateway.ledger.usage import Usage
from gateway.store.connect import Store
from tests.ledger.samples import Forgotten, Leisurely, StoreTime, ledger_over
from tests.store.slots import one_slot_a_call


@pytest.fixture(params=["one server", "sharded"], autouse=True)
def servers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How keys are spread. Every test of this room holds whichever way they are."""
    if request.param == "sharded":
        with one_slot_a_call(monkeypatch):
            yield request.param
    else:
        yield request.param


@pytest.fixture
def store_time() -> StoreTime:
    return StoreTime()


@pytest.fixture
def forgotten() -> Forgotten:
    return Forgotten()


@pytest.fixture
async def ledger(store: Store, forgotten: Forgotten, store_time: StoreTime) -> AsyncIterator[Ledger]:
    ledger = ledger_over(store, forgotten, store_time)
    yield ledger
    await ledger.close()


@pytest.fixture
async def asking(store: Store, forgotten: Forgotten, store_time: StoreTime) -> AsyncIterator[Ledger]:
    """A ledger that asks the store for every request."""
    ledger = ledger_over(store, forgotten, store_time, Leisurely())
    yield ledger
    await ledger.close()


@pytest.fixture
def usage(store: Store) -> Usage:
    return Usage(store)
