from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.client import Client
from tests.api.public import Platform, opened


@pytest.fixture
async def platform(store_url: str, key_prefix: str) -> AsyncIterator[Platform]:
    async with opened(store_url, key_prefix) as platform:
        yield platform


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[Client]:
    """With a platform's key that holds every scope."""
    key = platform.root.headers["x-api-key"]
    async with Client("http://gateway.test", key, transport=httpx.ASGITransport(platform.gateway.public)) as client:
        yield client
