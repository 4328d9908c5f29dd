"""A tenant that has every kind of credential, and requests at a fixed instant."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from gateway.pipeline.policy import Setup
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.credential import ApiKey, SigningSecret, WidgetKey
from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Status, Tenant

NOW = 1_780_000_000
SECRET = "sk_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
WIDGET_KEY = "pk_abcdefghijklmnopqrstuvwxyzABCDEFG"
TENANT_ID = UUID("019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f")
SETUP = Setup(route="api")

TENANT = Tenant(
    id=TENANT_ID,
    org="main",
    slug="acme",
    schema="acme",
    name="Acme",
    status=Status.ACTIVE,
    plan="pro",
    version=1,
    created_at=NOW - 1000,
    updated_at=NOW - 1000,
    origins=("https://acme.example",),
    secrets=(SigningSecret("sec_1", SECRET.encode(), created_at=NOW - 1000),),
    widget_keys=(WidgetKey(WIDGET_KEY, NOW - 1000),),
)
ORG = Organization("main", version=1)


def request(
    method: str = "GET",
    target: str = "/",
    headers: dict[str, str] | None = None,
    *,
    host: str = "api.example",
    received_at: float = NOW,
    scheme: str = "https",
) -> InboundRequest:
    fields = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items())
    return InboundRequest(
        method=method,
        target=target.encode(),
        host=host,
        fields=((b"host", host.encode()), *fields),
        client_ip="192.0.2.1",
        scheme=scheme,
        request_id="r1",
        received_at=received_at,
    )


def stored_key(digest: str, **changes: object) -> ApiKey:
    key = ApiKey(
        id="key_1",
        digest=digest,
        prefix="tg_live_abcd",
        last_four="wxyz",
        name="backend",
        environment="live",
        scopes=frozenset({"read:tenants"}),
        created_at=NOW - 1000,
        created_by="root",
    )
    return replace(key, **changes)
