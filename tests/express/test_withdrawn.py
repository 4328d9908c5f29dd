"""What was admitted a moment ago is not any more: the short cut is closed in the same instant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.store.lease import RECORD_LEASE
from gateway.tenancy.tenant import Status, Tenant
from tests.e2e.stage import Connection
from tests.identity.forge import jwk

from .stand import OK, Client, Counted, Stand, head

Withdraw = Callable[[Stand, Tenant], Awaitable[object]]


def _set(status: Status) -> Withdraw:
    return lambda stand, tenant: stand.gateway.tenants.set_status(tenant.id, status)


async def _revoke(stand: Stand, tenant: Tenant) -> None:
    (key,) = await stand.gateway.keys.list(tenant.id)
    await stand.gateway.keys.revoke(tenant.id, key.id)


async def _block(stand: Stand, tenant: Tenant) -> None:
    """By a cap of nought."""
    await stand.gateway.tenants.change(tenant.id, lambda one: replace(one, caps={**one.caps, "requests": 0}))


async def refused(client: Client, text: bytes, status: int, code: str) -> None:
    """Also when it is tried again."""
    for _ in range(3):
        answer = await client.ask(text)
        assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


KEY_ENDS: list[tuple[Withdraw, int, str]] = [
    (_set(Status.SUSPENDED), 403, "TENANT_SUSPENDED"),
    (_set(Status.ARCHIVED), 403, "TENANT_ARCHIVED"),
    (_revoke, 401, "KEY_REVOKED"),
    (_block, 429, "TENANT_QUOTA_EXCEEDED"),
]


@pytest.mark.parametrize(("withdraw", "status", "code"), KEY_ENDS, ids=[code for _, _, code in KEY_ENDS])
async def test_a_change_is_in_force_when_it_has_answered(stand: Stand, withdraw: Withdraw, status: int, code: str) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}")
    async with stand.client() as client:
        await stand.warm(client, text)
        begun, asked = Counted.begun, len(stand.upstream.asked)
        await withdraw(stand, tenant)
        await refused(client, text, status, code)
    assert (Counted.begun, len(stand.upstream.asked)) == (begun, asked)


async def test_not_one_of_many_at_once_passes_after_a_suspension(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text, over = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}"), asyncio.Event()

    async def keep_asking() -> tuple[int, int]:
        late = passed = 0
        async with stand.client() as client:
            while late < 20:
                after = over.is_set()
                answer = await client.ask(text)
                passed += after and answer.status == 200
                late += after
        return passed, late

    async with stand.client() as client:
        await stand.warm(client, text)
    asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
    await asyncio.sleep(0.1)
    await stand.gateway.tenants.set_status(tenant.id, Status.SUSPENDED)
    over.set()
    assert [passed for passed, _ in await asyncio.gather(*asking)] == [0] * 4
    assert Counted.begun > 20


async def test_a_reactivated_tenant_is_served_again(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}")
    async with stand.client() as client:
        await stand.warm(client, text)
        await stand.gateway.tenants.set_status(tenant.id, Status.SUSPENDED)
        await refused(client, text, 403, "TENANT_SUSPENDED")
        await stand.gateway.tenants.set_status(tenant.id, Status.ACTIVE)
        await stand.warm(client, text)


async def test_another_plan_is_told_to_upstream_and_client_at_once(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}")
    async with stand.client() as client:
        await stand.warm(client, text)
        await stand.gateway.tenants.change(tenant.id, lambda one: replace(one, plan="paid"))
        for _ in range(4):
            answer = await client.ask(text)
            assert answer.fields["ratelimit-policy"] == '"tenant";q=100000;w=1'
            assert b"x-tenant-plan: paid\r\n" in stand.upstream.asked[-1]
            claims = jwt.decode(_identity(stand.upstream.asked[-1]), options={"verify_signature": False})
            assert claims["plan"] == "paid"


def _identity(asked: bytes) -> str:
    return asked.partition(b"X-Gateway-Identity: ")[2].partition(b"\r\n")[0].decode()


@pytest.mark.parametrize("of", ["tenant", "platform"])
async def test_a_key_ends_at_its_time(stand: Stand, of: str) -> None:
    tenant = await stand.tenant("acme")
    key = await stand.key(tenant if of == "tenant" else "main", expires_at=stand.clock.now() + 100)
    text = head("/api/x", f"Authorization: Bearer {key}", "X-Tenant: acme")
    async with stand.client() as client:
        await stand.warm(client, text)
        stand.clock.ahead = 101
        await refused(client, text, 401, "KEY_EXPIRED")


async def test_a_token_ends_at_its_time(stand: Stand) -> None:
    await stand.tenant("acme")
    text = head("/api/x", f"Authorization: Bearer {stand.token('acme', 100)}", "X-Tenant: acme")
    async with stand.client() as client:
        await stand.warm(client, text)
        stand.clock.ahead = 161  # leeway included
        await refused(client, text, 401, "TOKEN_EXPIRED")


async def test_a_widget_key_that_was_rolled_ends_after_its_grace(stand: Stand) -> None:
    fields = await stand.widget("acme")
    text = head("/api/x", *fields)
    (tenant,), _ = await stand.gateway.tenants.page(1)
    async with stand.client() as client:
        await stand.warm(client, text)
        await stand.gateway.tenants.rotate_widget_key(tenant.id, 100)
        await stand.warm(client, text)
        stand.clock.ahead = 101
        await refused(client, text, 401, "KEY_INVALID")


async def test_an_origin_that_was_taken_off_the_list_is_refused(stand: Stand) -> None:
    text = head("/api/x", *await stand.widget("acme"))
    (tenant,), _ = await stand.gateway.tenants.page(1)
    async with stand.client() as client:
        await stand.warm(client, text)
        await stand.gateway.tenants.change(tenant.id, lambda one: replace(one, origins=()))
        await refused(client, text, 403, "ORIGIN_NOT_ALLOWED")


async def test_a_revoked_token_is_refused(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"Authorization: Bearer {stand.token('acme')}", "X-Tenant: acme")
    async with stand.client() as client:
        await stand.warm(client, text)
        gone = replace(tenant.revocations, issued_before=stand.clock.now() + 1)
        await stand.gateway.tenants.change(tenant.id, lambda one: replace(one, revocations=gone))
        await refused(client, text, 401, "TOKEN_REVOKED")


async def test_a_token_is_refused_once_its_key_has_left_the_set(stand: Stand, issuer_key: Ed25519PrivateKey) -> None:
    await stand.tenant("acme")
    now = int(stand.clock.now())
    claims = {"iss": "rotating", "sub": "user-1", "tenant": "acme", "iat": now, "exp": now + 300}
    token = jwt.encode(claims, issuer_key, algorithm="EdDSA", headers={"kid": "one"})
    text = head("/rotating/x", f"Authorization: Bearer {token}", "X-Tenant: acme")
    async with stand.client() as client:
        await stand.warm(client, text)
        keys = stand.machine.keysets.issuers["rotating"].keys
        keys.accept(json.dumps({"keys": [jwk(Ed25519PrivateKey.generate(), "two")]}).encode())  # type: ignore[attr-defined]
        await refused(client, text, 401, "TOKEN_INVALID")


async def test_a_record_without_a_lease_is_asked_for_again(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x", f"X-Api-Key: {await stand.key(tenant)}")
    async with stand.client() as client:
        await stand.warm(client, text)
        stand.machine.records.forget(tenant)
        begun = Counted.begun
        assert (await client.ask(text)).status == 200
        assert Counted.begun == begun
        await stand.warm(client, text)


async def test_in_another_month_units_are_counted_there(stand: Stand) -> None:
    text = head("/metered/x", f"X-Api-Key: {await stand.key(await stand.tenant('acme'))}")
    async with stand.client() as client:
        await stand.warm(client, text)
        stand.machine.ledger._local.period_ends = stand.clock.monotonic()
        begun = Counted.begun
        assert (await client.ask(text)).status == 200
        # The store says that it is still the same one.
        assert Counted.begun == begun
        await stand.warm(client, text)
        stand.machine.ledger._local.period = "2001-01"
        begun = Counted.begun
        assert (await client.ask(text)).status == 200
        assert Counted.begun == begun


async def test_without_the_store_it_is_closed_when_the_lease_ends(stand: Stand) -> None:
    text = head("/api/x", f"X-Api-Key: {await stand.key(await stand.tenant('acme'))}")
    asked: list[float] = []

    async def play(connection: Connection) -> None:
        asked.append(stand.clock.monotonic())
        await connection.say(OK)

    async with stand.client() as client:
        await stand.warm(client, text)
        stand.upstream.play = play
        begun, cut = Counted.begun, stand.clock.monotonic()
        await stand.store.control.command("CLIENT", "PAUSE", "2500", "ALL")
        while stand.clock.monotonic() < cut + 2.6:
            assert (await client.ask(text)).status == 200
    assert Counted.begun > begun
    late = [at - cut for at in asked if RECORD_LEASE + 0.1 < at - cut < 2.4]
    assert late == []
