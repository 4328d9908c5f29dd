"""The clinic behind a gateway with the gateway.yaml of the repository: real processes, a real PostgreSQL, two practices."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from gateway.app import open_gateway
from gateway.cli.sign import sign_headers
from gateway.identity.signing_key import derived_signing_key
from gateway.registry.owner import Owner
from gateway.settings.load import load

from .stack import ADMIN_KEY, Customer, GatewayProcess, provision

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "gateway.yaml"
PEOPLE = ("ana", "bruno", "carla")
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Practice:
    """A tenant of the clinic. Every row that is its own holds `mark`, which nothing else does; ids and e-mail addresses of its
    people are those of the other practice, too."""

    customer: Customer
    mark: str
    password: str
    api_key: str = ""
    token: str = ""

    @property
    def seed(self) -> dict[str, Any]:
        users = [
            {"name": f"{name} {self.mark}", "email": f"{name}@example.com", "password": self.password, "role": "manager"}
            for name in PEOPLE
        ]
        slug = self.customer.slug
        return {"slug": slug, "schema_name": slug.replace("-", "_"), "name": f"Practice {self.mark}", "users": users}


@dataclass
class ClinicWorld:
    """`direct`: the clinic's own URL, past the gateway."""

    gateway: GatewayProcess
    direct: str
    encryption_key: str
    practices: list[Practice]
    root_key: str

    def log_in(self, at: Practice, password: str) -> httpx.Response:
        login = {"email": "ana@example.com", "password": password, "tenant": at.customer.slug}
        return self.gateway.public.post("/api/auth/login", json=login)

    def sign_as_gateway(self, practice: Practice, **claims: object) -> dict[str, str]:
        """What the gateway would send along with `GET /api/v1/users`, signed by its own key, but for `claims`."""
        (key,) = self.gateway.public.get("/.well-known/jwks.json").json()["keys"]
        now = int(time.time())
        usual = {"iss": "tenantgate", "aud": "clinic", "iat": now, "exp": now + 30, "htm": "GET", "htu": "/api/v1/users"}
        slug = practice.customer.slug
        content = {**usual, "sub": "1", "tenant": slug, "schema": slug.replace("-", "_"), **claims}
        head = {"typ": "tg-identity+jwt", "kid": key["kid"]}
        return {"X-Gateway-Identity": jwt.encode(content, derived_signing_key(self.encryption_key), "EdDSA", head)}


Credential = Callable[[ClinicWorld, Practice, str, str, bytes], Headers]
"""The headers that prove a right to one request: method, target, body."""


def by_token(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    return {"Authorization": f"Bearer {practice.token}", "X-Tenant": practice.customer.slug}


def by_api_key(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    return {"X-Api-Key": practice.api_key}


def by_root_key_and_slug(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    return {"Authorization": f"Bearer {world.root_key}", "X-Tenant": practice.customer.slug}


def by_root_key_and_id(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    return {"X-Api-Key": world.root_key, "X-Tenant-Id": practice.customer.id}


def by_signature(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    customer = practice.customer
    return sign_headers(method, world.gateway.public_url + target, tenant_id=customer.id, secret=customer.secret, body=body)


def by_message_signature(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    """RFC 9421, by the library of somebody else."""
    message, covered = Message(method, world.gateway.public_url + target), ["@method", "@target-uri"]
    if body:
        digest = base64.b64encode(sha256(body).digest()).decode()
        message.headers["Content-Digest"] = f"sha-256=:{digest}:"
        covered.append("content-digest")
    HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Secret(practice.customer.secret)).sign(
        message,
        key_id=practice.customer.id,
        created=datetime.now(UTC),
        nonce=secrets.token_urlsafe(24),
        covered_component_ids=covered,
        use_existing_digest=bool(body),
    )
    return message.headers


def by_widget_key(world: ClinicWorld, practice: Practice, method: str, target: str, body: bytes) -> Headers:
    return {"X-Widget-Key": practice.customer.widget_key, "Origin": practice.customer.origin}


PROGRAMS: tuple[Credential, ...] = (
    by_token,
    by_api_key,
    by_root_key_and_slug,
    by_root_key_and_id,
    by_signature,
    by_message_signature,
)
"""Those that may do everything; `by_widget_key` may read what a practice shows to anybody."""


@dataclass
class Message:
    """A request as the signing library sees it."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class Secret(HTTPSignatureKeyResolver):
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def resolve_private_key(self, key_id: str) -> bytes:
        return self._secret


@contextmanager
def clinic_world(launch: Callable[..., GatewayProcess], store_url: str) -> Iterator[ClinicWorld]:
    encryption_key, prefix = base64.b64encode(secrets.token_bytes(32)).decode(), f"iso-{uuid4().hex[:8]}"
    public, clinic = _free_port(), _free_port()
    environ = {
        "TENANTGATE_STORE": store_url,
        "TENANTGATE_ENCRYPTION_KEY": encryption_key,
        "TENANTGATE_ADMIN_KEY": ADMIN_KEY,
        "CLINIC_JWT_SECRET": secrets.token_urlsafe(48),
        "CLINIC_URL": f"http://127.0.0.1:{clinic}",
        "TENANTGATE__STORE__PREFIX": prefix,
        "TENANTGATE__STORE__DEADLINE": "5s",  # what a loaded test machine can keep
        "TENANTGATE__LISTENERS__PUBLIC__PORT": str(public),
        "TENANTGATE__LISTENERS__ADMIN__PORT": "0",
    }
    gateway = launch(environ["CLINIC_URL"], environ, prefix, CONFIG)
    customers = [provision(gateway, slug, "enterprise") for slug in ("avanter", "clinica-abc")]
    root_key, *api_keys = asyncio.run(_mint(environ, ["demo", *(UUID(customer.id) for customer in customers)]))
    practices = [
        Practice(customer, f"<{uuid4().hex}>", secrets.token_urlsafe(12), key)
        for customer, key in zip(customers, api_keys, strict=True)
    ]
    variables = {
        "CLINIC_PORT": str(clinic),
        "CLINIC_JWT_SECRET": environ["CLINIC_JWT_SECRET"],
        "CLINIC_SEED": json.dumps([one.seed for one in practices]),
        "GATEWAY_JWKS_URL": f"{gateway.public_url}/.well-known/jwks.json",
    }
    with _clinic(variables) as direct:
        world = ClinicWorld(gateway, direct, encryption_key, practices, root_key)
        world.practices = [replace(one, token=world.log_in(one, one.password).json()["token"]) for one in practices]
        yield world


@contextmanager
def _clinic(variables: Mapping[str, str]) -> Iterator[str]:
    """`python -m clinic` with a PostgreSQL of its own, which ends with it; its URL."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "examples"), **variables}
    with subprocess.Popen([sys.executable, "-m", "clinic"], env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


async def _mint(environ: Mapping[str, str], owners: Sequence[Owner]) -> list[str]:
    """An API key of each owner: what a platform's tooling does in the registry."""
    async with open_gateway(load(CONFIG, environ)) as gateway:
        return [(await gateway.keys.mint(owner, "test", frozenset(), created_by="tests")).text for owner in owners]


def _free_port() -> int:
    """Gateway and clinic have to know each other's address before they start."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
