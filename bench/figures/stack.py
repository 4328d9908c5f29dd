"""What is measured: `tenantgate serve` in processes of its own, before a tiny upstream and on a real store."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.settings.schema import StoreSettings
from gateway.store.connect import Store
from gateway.store.embedded import EmbeddedServer

from .tenants import Customer, provision
from .upstream import Upstream, serving

_CONFIG = Path(__file__).with_name("gateway.yaml")
_START, _STOP = 60.0, 40.0


class DidNotServe(Exception):
    """The gateway ended, or did not get to serve. The text is what it wrote last."""


@dataclass(frozen=True)
class Gateway:
    pid: int
    public_url: str
    admin_url: str

    async def store_calls(self) -> float:
        """How many calls of the store it has counted itself, in all its processes."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.admin_url}/metrics")).text
        name = "tenantgate_store_call_duration_seconds_count"
        families = text_string_to_metric_families(text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


@dataclass(frozen=True)
class Stack:
    gateway: Gateway
    store: Store
    upstream: Upstream
    customers: list[Customer]


@asynccontextmanager
async def running(tenants: int, workers: int) -> AsyncIterator[Stack]:
    """A gateway of `workers` that serves and has seen none of its `tenants`. Raises DidNotServe."""
    key, secret = base64.b64encode(secrets.token_bytes(32)).decode(), secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="figures-", ignore_cleanup_errors=True) as directory:
        async with EmbeddedServer(Path(directory) / "store") as server, serving() as upstream:
            store = Store(server.url, prefix=StoreSettings().prefix, deadline=5.0)
            customers = await provision(store, key, secret, tenants)
            environ = {
                "FIGURES_STORE_URL": server.url,
                "FIGURES_ENCRYPTION_KEY": key,
                "FIGURES_JWT_SECRET": secret,
                "FIGURES_UPSTREAM": upstream.url,
            }
            async with _serving(Path(directory), workers, environ) as gateway:
                yield Stack(gateway, store, upstream, customers)
            await store.close()


@asynccontextmanager
async def _serving(directory: Path, workers: int, environ: dict[str, str]) -> AsyncIterator[Gateway]:
    ready, output = directory / "ready.json", directory / "output.txt"
    command = ["-m", "gateway", "serve", "-c", str(_CONFIG), "--ready-file", str(ready), "--workers", str(workers)]
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=file, stderr=file, env={**os.environ, **environ}
        )
    try:
        try:
            async with asyncio.timeout(_START):
                while not ready.exists():
                    if process.returncode is not None:
                        raise DidNotServe(output.read_text(errors="replace")[-2000:])
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise DidNotServe(output.read_text(errors="replace")[-2000:]) from None
        urls = json.loads(ready.read_text())
        yield Gateway(process.pid, urls["public_url"], urls["admin_url"])
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_STOP):
            await process.wait()
