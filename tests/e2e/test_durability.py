"""The store is killed the moment a change has answered: the change, and its audit entry, are there when it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from redis import Redis

from gateway.clock import SystemClock
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.keys import Keys
from gateway.registry.records import Records
from gateway.registry.shelf import Shelf
from gateway.store.connect import Store
from gateway.tenancy.org import Organization

from .recorder import Recorder
from .stack import GatewayProcess, environment

ROUNDS = 50
"""Of two kills each."""
ENVIRON = environment()
SCOPES = frozenset({"read:tenants", "write:tenants", "write:keys"})


@dataclass
class Embedded:
    gateway: GatewayProcess
    store: Path

    def kill_store(self) -> None:
        with Redis(unix_socket_path=str(self.store)) as redis:
            pid = int(redis.info("server")["process_id"])
            os.kill(pid, signal.SIGKILL)

    def wait(self) -> None:
        """Until the gateway has started it again."""
        deadline = time.monotonic() + 30
        while httpx.get(f"{self.gateway.admin_url}/readyz", trust_env=False).status_code != 200:
            assert time.monotonic() < deadline, self.gateway.output
            time.sleep(0.02)


@pytest.fixture
def embedded(
    launch: Callable[..., GatewayProcess], upstream: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Embedded]:
    # A socket's path is short.
    directory = tmp_path_factory.mktemp("s")
    variables = {"TENANTGATE__STORE__URL": "embedded", "TENANTGATE__STORE__DATA_DIR": str(directory)}
    gateway = launch(upstream.url, {**ENVIRON, **variables}, "durable")
    yield Embedded(gateway, directory / "store.sock")
    gateway.stop()


async def mint(socket: Path) -> str:
    store = Store(f"unix://{socket}", prefix="durable", deadline=5)
    shelf = Shelf(store, Cipher(ENVIRON["TESTS_ENCRYPTION_KEY"]), {"main": Organization("main", default_plan="free")})
    clock = SystemClock()
    minted = await Keys(Changes(shelf, Records(shelf, clock), clock), "tg").mint("main", "test", SCOPES, created_by="tests")
    await store.close()
    return minted.text


@pytest.mark.slow
def test_what_has_answered_outlives_a_killed_store(embedded: Embedded) -> None:
    root = {"X-Api-Key": asyncio.run(mint(embedded.store))}
    public, admin = embedded.gateway.public, embedded.gateway.admin
    for number in range(ROUNDS):
        made = public.post("/api/v1/tenants", json={"name": f"Tenant {number}", "slug": f"t-{uuid4().hex[:8]}"}, headers=root)
        embedded.kill_store()
        assert made.status_code == 201, made.text
        tenant = made.json()["id"]
        embedded.wait()
        assert public.get(f"/api/v1/tenants/{tenant}", headers=root).json() == made.json()
        minted = public.post(
            "/api/v1/keys", json={"name": "own", "tenant_id": tenant, "scopes": ["read:tenants"]}, headers=root
        )
        embedded.kill_store()
        assert minted.status_code == 201, minted.text
        embedded.wait()
        own = {"X-Api-Key": minted.json()["key"]}
        assert public.get(f"/api/v1/tenants/{tenant}", headers=own).status_code == 200
        trail = admin.get("/fetch/audit", params={"tenant_id": tenant}).json()["data"]["entries"]
        assert [entry["action"] for entry in trail] == ["key.created", "tenant.created"]
    assert admin.get("/verify/audit").json()["data"]["intact"]
