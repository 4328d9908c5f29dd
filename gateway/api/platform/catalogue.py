"""What routes of gateway.yaml can mount as `builtin`, by that name. A further group is added here, and to `Builtin` in the
settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.api.apis import platform_document
from gateway.api.endpoint import Endpoint
from gateway.api.mount import Mounted
from gateway.api.parts import Parts
from gateway.settings.schema import RouteSettings

from .audit import audit_endpoints
from .billing import billing_endpoints
from .docs import docs_endpoints
from .domains import domain_endpoints
from .jwks import jwks_endpoints
from .keys import key_endpoints
from .openapi import openapi_endpoints
from .tenant_lifecycle import tenant_lifecycle_endpoints
from .tenants import tenant_endpoints
from .usage import tenant_usage_endpoint, usage_endpoints
from .webhooks import webhook_endpoints


def platform_groups(parts: Parts) -> Mapping[str, tuple[Endpoint, ...]]:
    return {
        "audit": audit_endpoints(parts),
        "billing_plan": billing_endpoints(parts),
        "domains": domain_endpoints(parts),
        "jwks": jwks_endpoints(parts.jwks),
        "keys": key_endpoints(parts),
        "tenants": (*tenant_endpoints(parts), *tenant_lifecycle_endpoints(parts), tenant_usage_endpoint(parts)),
        "usage": usage_endpoints(parts),
        "webhooks": webhook_endpoints(parts),
    }


def mounted(routes: Iterable[RouteSettings], parts: Parts) -> Mapping[str, Mounted]:
    """What answers in place of an upstream, by the name of the route."""
    leading = [(route, route.builtin) for route in routes if route.builtin is not None]
    told = {"openapi": openapi_endpoints(lambda: described), "docs": docs_endpoints(lambda: described)}
    groups = {**platform_groups(parts), **told}
    # Of a group that is mounted twice the first place is told.
    places = {builtin: (route.path, groups[builtin]) for route, builtin in reversed(leading)}
    public = {builtin for route, builtin in leading if any(policy.name == "public" for policy in route.policies)}
    described = platform_document(dict(reversed(places.items())), public)
    return {route.name: Mounted(route.path, groups[builtin], parts.answers) for route, builtin in leading}
