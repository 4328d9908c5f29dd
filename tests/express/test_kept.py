"""What is remembered of a head: where its values stand, and none of what they were. And how much, of whom."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from uuid import uuid4

import pytest

from gateway.express.flow import Flow, Flows
from gateway.forward.balance import Balance
from gateway.telemetry.access import AccessLog
from gateway.transaction import Machine

from .stand import Counted, Stand, head

# What the process has beside: a flow leads there, and is not what keeps it.
_BEYOND = (ModuleType, FunctionType, MethodType, type, Machine, Balance, AccessLog)


def kept(root: object) -> Iterator[object]:
    """All that is reachable from there."""
    seen, waiting = set[int](), [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _BEYOND):
            continue
        seen.add(id(one))
        yield one
        waiting += gc.get_referents(one)


def quoting(flows: Flows, *secrets: str) -> list[tuple[str, str]]:
    """Secrets that are kept, and how."""
    found = []
    for one in kept(flows._found):
        if isinstance(one, str | bytes | bytearray):
            text = one if isinstance(one, str) else bytes(one).decode("latin-1")
            found += [(secret, text) for secret in secrets if secret in text]
    return found


@pytest.mark.parametrize("kind", ["public", "token", "key", "platform key", "widget key"])
async def test_none_of_a_clients_values_is_kept(stand: Stand, kind: str) -> None:
    tenant = await stand.tenant("acme", ref="ref-of-acme")
    secrets = [uuid4().hex for _ in range(4)]
    query, cookie, other, body = secrets
    match kind:
        case "public":
            proof = []
        case "token":
            secrets.append(token := stand.token("acme"))
            proof = [f"Authorization: Bearer {token}", "X-Tenant: acme"]
        case "key":
            secrets.append(key := await stand.key(tenant))
            proof = [f"X-Api-Key: {key}"]
        case "platform key":
            secrets.append(key := await stand.key("main"))
            proof = [f"Authorization: Bearer {key}", f"X-Tenant-Id: {tenant.typeid}"]
        case _:
            proof = await stand.widget("globex")
    path = "/open" if kind == "public" else "/api"
    fields = [
        *proof,
        f"Cookie: {cookie}",
        f"X-Other: {other}",
        f"Content-Length: {len(body)}",
        f"traceparent: 00-{other}-{'1' * 16}-01",
    ]
    text = head(f"{path}/x?q={query}", *fields, method="POST") + body.encode()
    async with stand.client() as client:
        await stand.warm(client, text)
    flows = stand.gateway.express._flows
    assert any(isinstance(one, Flow) for one in kept(flows._found))
    assert quoting(flows, *secrets) == []


async def test_the_flow_of_a_client_is_nobody_elses(stand: Stand) -> None:
    """Neither from another address."""
    text = head("/client/x")
    async with stand.client() as client:
        await stand.warm(client, text)
    for source in ("127.0.0.2", "127.0.0.3"):
        async with stand.client(source) as client:
            begun = Counted.begun
            assert (await client.ask(text)).status == 200
            assert Counted.begun == begun
            assert f"X-Forwarded-For: {source}\r\n".encode() in stand.upstream.asked[-1]


async def test_a_trusted_proxys_word_is_taken_each_time(stand: Stand) -> None:
    async with stand.client("127.0.0.9") as proxy:
        for client in ("192.0.2.1", "192.0.2.2"):
            text = head("/open/x", f"X-Forwarded-For: {client}", f"X-Request-Id: id-of-{client}", "X-Forwarded-Proto: https")
            for _ in range(5):
                answer = await proxy.ask(text)
                assert answer.fields["x-request-id"] == f"id-of-{client}"
                asked = stand.upstream.asked[-1]
                for line in (
                    f"X-Request-Id: id-of-{client}",
                    f"X-Forwarded-For: {client}, 127.0.0.9",
                    "X-Forwarded-Proto: https",
                ):
                    assert f"\r\n{line}\r\n".encode() in asked
            assert stand.log()[-1]["client_ip"] == client
    assert Counted.begun == 6


async def test_nobody_else_can_choose_a_request_id(stand: Stand) -> None:
    ids = set()
    async with stand.client() as client:
        for _ in range(5):
            ids.add((await client.ask(head("/open/x", "X-Request-Id: chosen-by-the-client"))).fields["x-request-id"])
    assert Counted.begun == 3
    assert len(ids) == 5
    assert "chosen-by-the-client" not in ids


async def test_a_tenant_with_many_heads_loses_its_own_only(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stand.gateway.express._flows._found
    monkeypatch.setattr(found, "_own", 5)
    monkeypatch.setattr(found, "_size", 20)
    texts = [head("/api/x", f"X-Api-Key: {await stand.key(await stand.tenant(slug))}") for slug in ("acme", "globex")]
    async with stand.client() as client:
        await stand.warm(client, texts[0])
        for number in range(40):
            for _ in range(3):
                await client.ask(texts[1][:-2] + b"X-Number: %d\r\n\r\n" % number)
    flows = [one for one in kept(found) if isinstance(one, Flow)]
    slugs = [flow.call.customer.tenant.slug for flow in flows if flow.call.customer is not None]
    assert sorted(slugs) == ["acme", *["globex"] * 5]
