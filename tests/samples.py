"""Values that the tests of many rooms need: a tenant, its customer, a caller, a request, a call. Each takes what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from gateway.pipeline.call import Call, Customer
from gateway.pipeline.policy import Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.tenant import Status, Tenant

ACME = Tenant(
    id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    org="main",
    slug="acme",
    schema="acme",
    name="Acme",
    status=Status.ACTIVE,
    plan="pro",
    version=1,
    created_at=0.0,
    updated_at=0.0,
)
GLOBEX = replace(ACME, id=UUID("01890a5d-ac96-774b-bcce-b302099a8058"), slug="globex", schema="globex", name="Globex")
PRO = Plan("pro")
MAIN = Organization("main")
SETUP = Setup(
    route="things",
    metrics={name: Metric(name, f"monthly_{name}_cap") for name in ("requests", "emails")},
    resources=frozenset({"users", "departments"}),
)

JWT = Principal("jwt", "alice")
HMAC = Principal("hmac", "acme")
BOUND_KEY = Principal("api_key", "key_1", org="main", credential_id="key_1")
ROOT_KEY = Principal("api_key", "key_2", org="main", credential_id="key_2", root=True)


def request(
    method: str = "GET", target: str = "/things", headers: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> InboundRequest:
    values: dict[str, Any] = {
        "host": "gateway.test",
        "client_ip": "203.0.113.7",
        "scheme": "https",
        "request_id": "r1",
        "received_at": 1_750_000_000.0,
        **fields,
    }
    sent = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())
    return InboundRequest(method=method, target=target.encode(), fields=sent, **values)


def call(
    principal: Principal = JWT,
    tenant: Tenant | None = ACME,
    *,
    plan: Plan = PRO,
    org: Organization = MAIN,
    request: InboundRequest = request(),  # noqa: B008 -- immutable
    route: str = "things",
) -> Call:
    return Call(request, route, "upstream", principal, None if tenant is None else Customer(tenant, plan, org))
