"""A platform's customer from its first day to its last, with `gateway.client`. `story.sh` is the same with curl.

PLATFORM_KEY=tg_live_… BASE_URL=http://127.0.0.1:8080 python story.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from uuid import uuid4

from gateway.client import Client, Refusal


async def refused(work: Awaitable[object], code: str) -> None:
    """Raises AssertionError where it is not refused with `code`."""
    told = "nothing"
    try:
        await work
    except Refusal as refusal:
        told = refusal.code
    assert told == code, f"expected {code}, was refused with {told}"
    print(f"  refused: {told}")


async def story(base_url: str, platform_key: str) -> None:
    ref = f"cust_{uuid4().hex[:12]}"
    async with Client(base_url, platform_key) as platform:
        print("A customer signs up: it becomes a tenant, with a key of its own.")
        tenant = await platform.tenants.create(name="Acme", external_ref=ref)
        minted = await platform.keys.mint(name="Acme prod", tenant_id=tenant["id"])
        async with Client(base_url, minted["key"]) as own:
            await customer(platform, own, tenant["id"])
        print("Its key has leaked: a new one takes its place.")
        rolled = await platform.keys.roll(minted["id"])
        async with Client(base_url, minted["key"]) as leaked, Client(base_url, rolled["key"]) as own:
            await refused(leaked.plan(), "KEY_REVOKED")
            await own.plan()
            print("It leaves: its calls are refused for good, its data stay.")
            await platform.tenants.archive(tenant["id"])
            await refused(own.plan(), "TENANT_ARCHIVED")


async def customer(platform: Client, own: Client, tenant: str) -> None:
    print("It sees itself and its plan, and nobody else; it makes no tenants, and mints no keys.")
    assert [one["id"] async for one in own.tenants.list()] == [tenant]
    print(f"  its plan is {(await own.plan())['plan']}")
    other = await platform.tenants.create(name="Globex")
    await refused(own.tenants.get(other["id"]), "NOT_FOUND")
    await refused(own.tenants.create(name="Mine"), "TENANT_KEY_CANNOT_CREATE_TENANTS")
    await refused(own.keys.mint(name="mine"), "PLATFORM_ONLY")

    print("A cap bounds what it may use in a month; None lifts it.")
    await platform.tenants.set_quota(tenant, monthly_request_cap=0)
    await refused(own.plan(), "TENANT_QUOTA_EXCEEDED")
    await platform.tenants.set_quota(tenant, monthly_request_cap=None)

    print("It does not pay: its calls are refused at once. It pays: they resume at once.")
    await platform.tenants.suspend(tenant, "Non-payment")
    await refused(own.plan(), "TENANT_SUSPENDED")
    await platform.tenants.unsuspend(tenant)
    await refused(platform.tenants.unsuspend(tenant), "TENANT_NOT_SUSPENDED")
    await own.plan()


if __name__ == "__main__":
    asyncio.run(story(os.environ.get("BASE_URL", "http://127.0.0.1:8080"), os.environ["PLATFORM_KEY"]))
