"""Webhooks of gateways as users run them: what one that is killed had begun, another one goes on with."""

from __future__ import annotations

import asyncio
import base64
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.clock import SystemClock
from gateway.registry.changes import Changes
from gateway.registry.cipher import Cipher
from gateway.registry.records import Records
from gateway.registry.shelf import Shelf
from gateway.registry.webhooks import Webhooks
from gateway.store.connect import Store
from gateway.tenancy.org import Organization
from tests.webhooks.receiver import Receiver, listening

from .stack import ADMIN_KEY, GatewayProcess, provision

KEY = base64.b64encode(b"w" * 32).decode()
CONFIG = """
version: 1
listeners: {{public: {{port: 0}}, admin: {{port: 0}}}}
store: {{url: "{url}", prefix: {prefix}, deadline: 5s}}
secrets: {{encryption_key: {key}, admin_keys: {{tests: {admin}}}}}
plans: {{free: {{}}}}
orgs: {{main: {{default_plan: free}}}}
webhooks: {{allow_http: true, allow_private: [127.0.0.0/8]}}
routes:
  - {{name: webhooks, path: /webhooks/*, builtin: webhooks, policies: [api_key, tenant_match, tenant_status]}}
"""


async def told_of(receiver: Receiver, store_url: str, prefix: str) -> None:
    """A webhook of the organization leads to the receiver."""
    store, clock = Store(store_url, prefix=prefix, deadline=5), SystemClock()
    shelf = Shelf(store, Cipher(KEY), {"main": Organization("main", default_plan="free")})
    await Webhooks(Changes(shelf, Records(shelf, clock), clock)).create("main", "main", receiver.url, None, "")
    await store.close()


def first_of_each(receiver: Receiver) -> dict[str, list[str]]:
    """By tenant, the kinds of its events in the order in which they came, without what came again."""
    found: dict[str, dict[str, str]] = {}
    for delivery in receiver.got:
        found.setdefault(delivery.tenant, {}).setdefault(delivery.headers["webhook-id"], delivery.event["type"])
    return {tenant: list(events.values()) for tenant, events in found.items()}


@pytest.mark.slow
async def test_nothing_is_lost_or_out_of_order_when_the_gateway_that_delivers_is_killed(store_url: str, tmp_path: Path) -> None:
    prefix = f"w-{uuid4().hex[:8]}"
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(url=store_url, prefix=prefix, key=KEY, admin=ADMIN_KEY))
    first = await asyncio.to_thread(GatewayProcess, config, tmp_path / "first")
    second = await asyncio.to_thread(GatewayProcess, config, tmp_path / "second")
    try:
        async with listening() as receiver:
            await told_of(receiver, store_url, prefix)
            receiver.open.clear()
            for number in range(10):
                customer = await asyncio.to_thread(provision, second, f"t-{number}")
                suspended = await asyncio.to_thread(second.admin.post, "/suspend/tenant", params={"tenant_id": customer.id})
                assert suspended.status_code == 200
            await receiver.until(1)
            await asyncio.to_thread(first.stop, signal.SIGKILL)
            receiver.open.set()
            async with asyncio.timeout(60):
                while sum(map(len, first_of_each(receiver).values())) < 20:
                    await asyncio.sleep(0.1)
            assert list(first_of_each(receiver).values()) == [["tenant.created", "tenant.suspended"]] * 10
    finally:
        for gateway in (first, second):
            await asyncio.to_thread(gateway.stop, signal.SIGKILL)
