"""A gateway in this process, on a real store, with callers that it knows."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from bench.figures.tenants import new_tenant, write
from bench.peers.credentials import Keys
from gateway.app import Gateway, open_gateway
from gateway.settings.load import load
from gateway.settings.schema import Settings, StoreSettings
from gateway.store.connect import Store
from gateway.store.embedded import EmbeddedServer
from gateway.tenancy.credential import ApiKey
from gateway.tenancy.ids import new_id, typeid
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.tenant import Tenant

_CONFIG = Path(__file__).with_name("gateway.yaml")
_FIELDS = "User-Agent: profile/1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b; c=d\r\n"


@dataclass(frozen=True)
class Caller:
    """A tenant, its API key, and a token of one of its users."""

    tenant: Tenant
    key: str
    token: str

    @property
    def bearer(self) -> str:
        """Lines of a head."""
        return f"Authorization: Bearer {self.token}\r\nX-Tenant: {self.tenant.slug}"

    def by_token(self, more: str = "") -> bytes:
        """`more`: lines of the head."""
        return request("/jwt/v1/items?id=5", self.bearer + more)

    def by_key(self) -> bytes:
        return request("/key/v1/items?id=5", f"X-Api-Key: {self.key}")


@dataclass(frozen=True)
class Inside:
    """`keys` are those of the issuers."""

    gateway: Gateway
    settings: Settings
    keys: Keys
    callers: list[Caller]


@asynccontextmanager
async def inside(tenants: int) -> AsyncIterator[Inside]:
    """Its log goes to the null device, its store into a directory that is removed."""
    keys, encryption_key = Keys(), base64.b64encode(secrets.token_bytes(32)).decode()
    with tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as directory:
        async with EmbeddedServer(Path(directory) / "store") as server:
            callers = [_caller(f"tenant-{number}", keys) for number in range(tenants)]
            store = Store(server.url, prefix=StoreSettings().prefix, deadline=5.0)
            await write(store, encryption_key, [caller.tenant for caller in callers])
            await store.close()
            settings = load(
                _CONFIG,
                {
                    "PROFILE_STORE_URL": server.url,
                    "PROFILE_ENCRYPTION_KEY": encryption_key,
                    "PROFILE_SECRET": keys.secret,
                    "PROFILE_PUBLIC_KEY": keys.public_pem,
                },
            )
            with _nowhere() as nowhere:
                async with AsyncExitStack() as running:
                    # It takes standard output as it is now; ours goes on as it was.
                    with redirect_stdout(nowhere):
                        gateway = await running.enter_async_context(open_gateway(settings))
                    yield Inside(gateway, settings, keys, callers)


def request(target: str, fields: str) -> bytes:
    """A GET as a browser would send it. `fields`: lines of the head that say who asks."""
    return f"GET {target} HTTP/1.1\r\nHost: api.example\r\n{fields}\r\n{_FIELDS}\r\n".encode()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def _caller(slug: str, keys: Keys) -> Caller:
    tenant, key = new_tenant(slug), new_api_key("tg", "live")
    stored = ApiKey(
        id=typeid("key", new_id()),
        digest=digest_of(key),
        prefix="tg_live",
        last_four=key[-4:],
        name="profile",
        environment="live",
        scopes=frozenset(),
        created_at=tenant.created_at,
        created_by="profile",
    )
    return Caller(replace(tenant, keys=(stored,)), key, keys.hs256(slug, "user-1"))
