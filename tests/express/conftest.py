from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.app import open_gateway
from gateway.server import Bound, public_listening
from gateway.settings.load import load
from gateway.store.connect import Store
from tests.identity.forge import jwk

from .stand import SECRET, Counted, LateClock, Stand, Upstream

_CONFIG = Path(__file__).with_name("gateway.yaml")


@pytest.fixture
def issuer_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
async def stand(
    store_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer_key: Ed25519PrivateKey
) -> AsyncIterator[Stand]:
    monkeypatch.setattr("gateway.express.server.Repeat", Counted)
    monkeypatch.setattr(Counted, "begun", 0)
    monkeypatch.setattr(Counted, "left", 0)
    upstream, clock = Upstream(), LateClock()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk(issuer_key, "one")]}))
    async with await asyncio.start_server(upstream.connected, "127.0.0.1", 0) as server:
        settings = load(
            _CONFIG,
            {
                "TESTS_STORE_URL": store_url,
                "TESTS_PREFIX": key_prefix,
                "TESTS_JOURNAL": str(tmp_path / "journal"),
                "TESTS_JWKS": str(tmp_path / "jwks.json"),
                "TESTS_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
                "TESTS_JWT_SECRET": SECRET,
                "TESTS_UPSTREAM": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            },
        )
        async with AsyncExitStack() as running:
            # It takes standard output as it is now.
            with redirect_stdout(StringIO()) as output:
                gateway = await running.enter_async_context(open_gateway(settings, clock))
            bound = Bound("127.0.0.1", 0)
            listening = public_listening(gateway, bound.socket, settings)
            serving = asyncio.create_task(listening.run())
            store = Store(store_url, prefix=key_prefix, deadline=5.0)
            yield Stand(gateway, bound.url, upstream, store, clock, listening, serving, output)
            listening.stop()
            await serving
            await store.close()
            for connection in upstream.open:
                connection.drop()
