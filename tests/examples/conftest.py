from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import jwt
import pytest
from clinic.app import create_app
from clinic.database import Company, SeedUser, prepare
from clinic.embedded import postgres
from clinic.tenancy import Gateway
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg_pool import AsyncConnectionPool

JWT_SECRET = "a secret of the tests, longer than 32 bytes"


@dataclass
class Signer:
    """Stands in for the gateway: signs identities, and publishes its key."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kid: str = "k1"
    fetches: int = 0
    down: bool = False

    async def fetch(self) -> object:
        self.fetches += 1
        if self.down:
            raise httpx.ConnectError("down")
        jwk = jwt.algorithms.OKPAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [jwk | {"kid": self.kid, "alg": "EdDSA", "use": "sig"}]}

    def identity(
        self, method: str, path: str, slug: str = "avanter", header: dict[str, object] | None = None, **claims: object
    ) -> dict[str, str]:
        """The header of a request; a claim of None is left out."""
        now = int(time.time())
        schema = slug.replace("-", "_")
        known = {"iss": "tenantgate", "aud": "clinic", "iat": now, "exp": now + 30, "htm": method, "htu": path}
        content = known | {"tenant": slug, "schema": schema} | claims
        token = jwt.encode(
            {name: value for name, value in content.items() if value is not None},
            self.key,
            algorithm="EdDSA",
            headers={"typ": "tg-identity+jwt", "kid": self.kid} | (header or {}),
        )
        return {"X-Gateway-Identity": token}


@dataclass
class Clinic:
    http: httpx.AsyncClient
    signer: Signer

    async def call(self, method: str, path: str, slug: str = "avanter", json: object = None) -> httpx.Response:
        return await self.http.request(method, path, headers=self.signer.identity(method, path, slug), json=json)


COMPANIES = tuple(
    Company(
        slug=slug,
        schema_name=slug.replace("-", "_"),
        name=slug.title(),
        users=tuple(
            SeedUser(name=f"{slug} {n}", email=f"user{n}@example.com", password=f"{slug}-{n}-password", role="manager")
            for n in (1, 2)
        ),
    )
    for slug in ("avanter", "clinica-abc")
)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with open_folder() as folder, postgres(folder / "db") as uri:
        asyncio.run(seed(uri))
        yield uri


async def seed(uri: str) -> None:
    async with AsyncConnectionPool(uri, open=False) as pool:
        await prepare(pool, COMPANIES)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the user `nobody` can come through, unlike those of pytest: PostgreSQL runs as that user under root."""
    # A server that was killed may have children that are still writing.
    with TemporaryDirectory(prefix="clinic-test-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
async def clinic(server: str, signer: Signer) -> AsyncIterator[Clinic]:
    app = create_app(server, JWT_SECRET, Gateway(signer.fetch))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://clinic") as http,
    ):
        yield Clinic(http, signer)
