"""Scopes: what a credential may do. Those of the gateway's own API, and those that routes of gateway.yaml ask for."""

from __future__ import annotations

from dataclasses import dataclass

PLATFORM_SCOPES = frozenset({"write:tenants", "write:keys", "read:audit"})
"""Of calls that only a platform may make."""
TENANT_SCOPES = frozenset({"read:tenants", "read:usage", "write:domains", "write:webhooks"})
"""Of calls that a tenant may make, too, for itself."""
OWN_SCOPES = PLATFORM_SCOPES | TENANT_SCOPES
"""Of all calls of the gateway's own API."""


@dataclass(frozen=True, slots=True)
class Grants:
    """Which scopes a key may hold. `custom` are those that routes ask for beside the gateway's own."""

    custom: frozenset[str] = frozenset()

    def of_kind(self, *, bound: bool) -> frozenset[str]:
        """All that a key may hold; `bound`: to a tenant."""
        return (TENANT_SCOPES if bound else OWN_SCOPES) | self.custom


def exceeding(wanted: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """Which of the scopes `wanted` for a key may not be given by somebody who holds `held`: nobody makes a key that may do more
    with the gateway's own API than he may. Scopes of routes are the platform's to give."""
    return (wanted & OWN_SCOPES) - held
