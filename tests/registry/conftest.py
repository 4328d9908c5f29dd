from __future__ import annotations

import pytest

from gateway.store.connect import Store
from tests.registry.samples import Registry, registry_over


@pytest.fixture
def registry(store: Store) -> Registry:
    return registry_over(store)
