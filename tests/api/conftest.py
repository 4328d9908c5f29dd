from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.store.connect import Store
from tests.api.public import Platform, opened
from tests.api.samples import ADMIN_KEY, Operator, admin_client
from tests.registry.samples import Registry, registry_over


@pytest.fixture
def registry(store: Store) -> Registry:
    return registry_over(store)


@pytest.fixture
async def operator(registry: Registry) -> AsyncIterator[Operator]:
    async with admin_client(registry, {"X-Admin-Key": ADMIN_KEY}) as http:
        yield Operator(http, registry)


@pytest.fixture
async def platform(store_url: str, key_prefix: str) -> AsyncIterator[Platform]:
    async with opened(store_url, key_prefix) as platform:
        yield platform
