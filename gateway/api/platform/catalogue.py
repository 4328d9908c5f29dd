"""What routes of gateway.yaml can mount as `builtin`, by that name. A further group is added here, and to `Builtin` in the
settings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.endpoint import Endpoint
from gateway.api.parts import Parts

from .billing import billing_endpoints
from .jwks import jwks_endpoints
from .tenants import tenant_endpoints


def platform_endpoints(parts: Parts) -> Mapping[str, tuple[Endpoint, ...]]:
    return {
        "billing_plan": billing_endpoints(parts),
        "jwks": jwks_endpoints(parts.jwks),
        "tenants": tenant_endpoints(parts),
    }
