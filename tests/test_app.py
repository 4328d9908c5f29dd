"""What keeps a gateway from being built."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from gateway.app import StartFault, open_gateway
from gateway.settings.schema import Settings
from gateway.settings.upstreams import Upstream


def settings(**store: object) -> Settings:
    return Settings.model_validate(
        {
            "version": 1,
            "store": store,
            "secrets": {"encryption_key": base64.b64encode(b"k" * 32).decode()},
            "plans": {"free": {}},
            "orgs": {"main": {"default_plan": "free"}},
            "routes": [{"name": "keys", "path": "/jwks.json", "builtin": "jwks", "policies": ["public"]}],
        }
    )


async def test_a_store_that_can_lose_changes_is_refused_where_durability_is_required(store_url: str) -> None:
    with pytest.raises(StartFault, match=r"store\.require_durable is set.*append-only file"):
        async with open_gateway(settings(url=store_url, require_durable=True)):
            pass


async def test_it_is_taken_where_it_is_not_required(store_url: str, key_prefix: str) -> None:
    async with open_gateway(settings(url=store_url, prefix=key_prefix)) as gateway:
        assert await gateway.tenants.page(1) == ([], 0)


async def test_the_embedded_store_is_durable_enough(tmp_path: Path) -> None:
    async with open_gateway(settings(data_dir=str(tmp_path / "store"), require_durable=True)) as gateway:
        assert await gateway.tenants.page(1) == ([], 0)


async def test_a_store_out_of_reach_stops_no_start(tmp_path: Path) -> None:
    async with open_gateway(settings(url=f"unix://{tmp_path}/none", require_durable=True)):
        pass


async def test_targets_of_upstreams_are_checked_while_the_gateway_runs(store_url: str, key_prefix: str) -> None:
    checked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /healthz HTTP/1.1\r\n"):
            checked.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        checks = {"active": {"path": "/healthz", "interval": "10ms"}}
        upstream = Upstream.model_validate({"targets": [url], "health": checks})
        running = settings(url=store_url, prefix=key_prefix).model_copy(update={"upstreams": {"app": upstream}})
        async with open_gateway(running), asyncio.timeout(5):
            await checked.wait()
