"""A key whose requests are all alike is told as used, although none of them is walked any more."""

from __future__ import annotations

import asyncio
import base64
import socket
from contextlib import suppress

import httpx
import pytest

from gateway.app import open_gateway
from gateway.clock import SystemClock
from gateway.decision import Decider
from gateway.registry.last_used import EVERY
from gateway.registry.tenants import NewTenant
from gateway.server import public_listening
from gateway.settings.schema import Settings
from gateway.store.connect import Store


class ShiftedClock(SystemClock):
    """Wall time is what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1_780_000_000.0
        self.now = lambda: self.time


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


def settings(store_url: str, prefix: str, upstream: str) -> Settings:
    return Settings.model_validate(
        {
            "version": 1,
            "store": {"url": store_url, "prefix": prefix, "deadline": "5s"},
            "secrets": {"encryption_key": base64.b64encode(b"k" * 32).decode()},
            "upstreams": {"app": {"targets": [upstream]}},
            "plans": {"free": {}},
            "orgs": {"main": {"default_plan": "free"}},
            "routes": [
                {
                    "name": "app",
                    "path": "/*",
                    "upstream": "app",
                    "policies": ["api_key", "tenant_match", "tenant_status", "tenant_headers"],
                }
            ],
        }
    )


async def test_a_repeated_request_tells_that_its_key_is_used(
    store: Store, store_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks, decide, clock = [0], Decider.decide, ShiftedClock()

    def counting(*args: object) -> object:
        walks[0] += 1
        return decide(*args)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(Decider, "decide", counting)
    upstream = await asyncio.start_server(_answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    configured, listener = settings(store_url, key_prefix, url), socket.create_server(("127.0.0.1", 0))
    async with open_gateway(configured, clock) as gateway:
        tenant = (await gateway.tenants.create(NewTenant("main", "Acme"))).tenant
        minted = await gateway.keys.mint(tenant.id, "ci", frozenset(), created_by="tests")
        listening = public_listening(gateway, listener, configured)
        serving = asyncio.create_task(listening.run())
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=base_url, headers={"X-Api-Key": minted.text}, trust_env=False) as client:
            # On a machine that pauses, a lease may end and the request be walked: that proves nothing.
            for _ in range(50):
                for _ in range(3):
                    assert (await client.get("/things")).status_code == 200
                walked = walks[0]
                clock.time += EVERY + 1
                assert (await client.get("/things")).status_code == 200
                if walks[0] == walked:
                    break
            else:
                pytest.fail("no request was ever repeated")
        listening.stop()
        await serving
    upstream.close()
    place = store.keys.last_used(str(tenant.id))
    assert await store.control.command("HGET", place, minted.key.id) == str(int(clock.time)).encode()
