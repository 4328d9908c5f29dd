"""All calls of the operator API. A file with further ones is added here."""

from __future__ import annotations

from gateway.api.endpoint import Endpoint
from gateway.api.parts import Parts

from .audit import audit_endpoints
from .credentials import credential_endpoints
from .orgs import org_endpoints
from .resources import resource_endpoints
from .revocation import revocation_endpoints
from .root_keys import root_key_endpoints
from .tenants import tenant_endpoints
from .transfer import transfer_endpoints
from .usage import usage_endpoints


def operator_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    return (
        *tenant_endpoints(parts),
        *credential_endpoints(parts),
        *resource_endpoints(parts),
        *audit_endpoints(parts),
        *org_endpoints(parts),
        *root_key_endpoints(parts),
        *revocation_endpoints(parts),
        *usage_endpoints(parts),
        *transfer_endpoints(parts),
    )
