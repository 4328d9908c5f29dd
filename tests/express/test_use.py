"""Which requests take the short cut, and which never do."""

from __future__ import annotations

import pytest

from gateway.cli.sign import sign_headers

from .stand import Counted, Stand, head, saying


async def test_the_same_head_takes_it_from_the_fourth_time_on(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/api/x?y=1", f"Authorization: Bearer {stand.token('acme')}", "X-Tenant: acme", "Cookie: a=b")
    async with stand.client() as client:
        for number in range(6):
            assert (await client.ask(text)).status == 200
            assert Counted.begun == max(0, number - 2)
    assert Counted.left == 0
    assert await stand.used(tenant, "requests") == 6


async def test_a_public_one_takes_it_from_the_third_time_on(stand: Stand) -> None:
    async with stand.client() as client:
        for number in range(4):
            assert (await client.ask(head("/open/x"))).status == 200
            assert Counted.begun == max(0, number - 1)


@pytest.mark.parametrize("naming", ["X-Tenant: acme", "X-Tenant-Id: {id}", "X-Tenant-Ref: ref-1"])
async def test_those_of_a_platform_key_take_it(stand: Stand, naming: str) -> None:
    tenant = await stand.tenant("acme", ref="ref-1")
    text = head("/api/x", f"X-Api-Key: {await stand.key('main')}", naming.format(id=tenant.typeid))
    async with stand.client() as client:
        await stand.warm(client, text)


async def test_those_of_a_widget_key_take_it(stand: Stand) -> None:
    text = head("/api/x", *await stand.widget("acme"))
    async with stand.client() as client:
        await stand.warm(client, text)


async def test_those_of_a_bounded_tenant_take_it_while_there_is_demand(stand: Stand) -> None:
    key = await stand.key(await stand.tenant("acme", "hundred"))
    async with stand.client() as client:
        for _ in range(30):
            assert (await client.ask(head("/metered/x", f"X-Api-Key: {key}"))).status == 200
    assert Counted.begun > 5


NEVER = {
    "a HEAD": head("/open/x", method="HEAD"),
    "the last one of a connection": head("/open/x", "Connection: close"),
    "an absolute target": head("http://gateway.test/open/x"),
    "one that waits to be told": head("/open/x", "Content-Length: 0", "Expect: 100-continue", method="POST"),
    "chunks": head("/open/x", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
    "HTTP/1.0": head("/open/x").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a large head": head("/open/x", f"X-Large: {'x' * 8200}"),
}


@pytest.mark.parametrize("why", NEVER)
async def test_some_never_take_it(stand: Stand, why: str) -> None:
    stand.upstream.play = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    for _ in range(6):
        async with stand.client() as client:
            await client.say(NEVER[why])
            assert (await client.connection.until(b"\r\n\r\n")).startswith((b"HTTP/1.1 200", b"HTTP/1.1 100"))
    assert Counted.begun == 0


@pytest.mark.parametrize(
    ("path", "method", "body"), [("/trial/x", "GET", b""), ("/batch/x", "POST", b'{"messages": 1}')], ids=["shadow", "units"]
)
async def test_what_is_decided_by_more_than_the_head_never_takes_it(stand: Stand, path: str, method: str, body: bytes) -> None:
    key = await stand.key(await stand.tenant("acme"))
    text = head(path, f"X-Api-Key: {key}", f"Content-Length: {len(body)}", method=method) + body
    async with stand.client() as client:
        for _ in range(6):
            assert (await client.ask(text)).status == 200
    assert Counted.begun == 0


async def test_a_signed_request_is_served_once(stand: Stand) -> None:
    created = await stand.created("acme")
    proof = sign_headers("GET", "http://gateway.test/api/x", tenant_id=created.tenant.typeid, secret=created.secret)
    text = head("/api/x", *map(": ".join, proof.items()))
    async with stand.client() as client:
        assert [(await client.ask(text)).status for _ in range(6)] == [200, *[401] * 5]
    assert Counted.begun == 0


async def test_what_an_upstream_tells_is_counted(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    text = head("/told/x", f"X-Api-Key: {await stand.key(tenant)}")
    stand.upstream.play = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Usage-Units: 7\r\n\r\nok")
    async with stand.client() as client:
        for _ in range(6):
            assert "x-usage-units" not in (await client.ask(text)).fields
    assert Counted.left == Counted.begun > 0
    assert await stand.used(tenant, "messages") == 42


async def test_heads_that_come_once_push_none_out_that_come_again(stand: Stand) -> None:
    text = head("/open/x")
    async with stand.client() as client:
        await stand.warm(client, text)
        for number in range(1100):
            await client.ask(head(f"/open/{number}"))
        begun = Counted.begun
        await client.ask(text)
    assert Counted.begun == begun + 1
    flows = stand.gateway.express._flows
    assert (len(flows._found), len(flows._once)) == (1, 1000)
