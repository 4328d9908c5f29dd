"""What a platform's machinery asks the admin listener, without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from starlette.applications import Starlette

from gateway.api.admin import Check, admin_app
from gateway.errors import SHUTTING_DOWN, STORE_UNAVAILABLE, Refused
from gateway.store.connect import Store
from gateway.telemetry.metrics import Metrics

KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "AA"}]}


async def fine() -> None:
    pass


async def draining() -> None:
    raise Refused(SHUTTING_DOWN, "Draining.")


def client(checks: Mapping[str, Check], metrics: Metrics | None = None) -> httpx.AsyncClient:
    told = metrics or Metrics()

    async def exposition(accept: str) -> tuple[bytes, str]:
        return told.exposition(accept)

    app = admin_app(Starlette(), checks, exposition, lambda: KEYS, {"openapi": "3.1.0"})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin.test")


async def test_a_living_process_says_so_whatever_its_checks_say() -> None:
    async with client({"serving": draining}) as http:
        answer = await http.get("/livez")
    assert (answer.status_code, answer.text) == (200, "ok")


async def test_a_gateway_whose_checks_hold_is_ready(store: Store) -> None:
    async with client({"store": store.ping, "serving": fine}) as http:
        plain, verbose = await http.get("/readyz"), await http.get("/readyz?verbose")
    assert (plain.status_code, plain.json()["data"]) == (200, {})
    assert (verbose.status_code, verbose.json()["data"]) == (200, {"checks": {"store": "ok", "serving": "ok"}})


async def test_a_gateway_that_drains_is_not_ready_and_says_why() -> None:
    async with client({"store": fine, "serving": draining}) as http:
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (503, "SHUTTING_DOWN", "Draining.")
    assert answer.json()["checks"] == {"store": "ok", "serving": "Draining."}


async def test_a_gateway_without_its_store_is_not_ready() -> None:
    store = Store("unix:///nonexistent/tenantgate", prefix="t", deadline=1.0)
    async with client({"store": store.ping}) as http:
        answer = await http.get("/readyz")
    await store.close()
    assert (answer.status_code, answer.json()["code"]) == (503, STORE_UNAVAILABLE.code)


async def test_a_check_that_hangs_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("gateway.api.admin._CHECK_SECONDS", 0.0)
    async with client({"store": hanging}) as http:
        assert (await http.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    ("accept", "content_type"), [("", "text/plain"), ("application/openmetrics-text", "application/openmetrics-text")]
)
async def test_metrics_come_in_the_format_that_is_asked_for(accept: str, content_type: str) -> None:
    metrics = Metrics()
    metrics.request("things", "GET", 200, "OK", "acme", 0.1)
    async with client({}, metrics) as http:
        answer = await http.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(content_type)
    assert 'tenantgate_requests_total{code="OK"' in answer.text
    assert answer.text.endswith("# EOF\n") == (content_type == "application/openmetrics-text")


async def test_the_public_keys_are_published_and_may_be_cached() -> None:
    async with client({}) as http:
        answer = await http.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.json()) == (200, KEYS)
    assert answer.headers["cache-control"] == "public, max-age=300"
