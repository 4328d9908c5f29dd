from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.store.connect import Store
from tests.registry.samples import Registry, registry_over
from tests.webhooks.receiver import Receiver, listening
from tests.webhooks.samples import Stand, stand_over


@pytest.fixture
def registry(store: Store) -> Registry:
    return registry_over(store)


@pytest.fixture
def stand(registry: Registry) -> Stand:
    return stand_over(registry)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver
