"""What the endpoints stand on, handed to them by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.ledger.resources import Resources
from gateway.ledger.usage import Usage
from gateway.registry.audit import Audit
from gateway.registry.domains import Domains
from gateway.registry.idempotency import Answers
from gateway.registry.key_index import KeyIndex
from gateway.registry.keys import Keys
from gateway.registry.last_used import LastUsed
from gateway.registry.listing import TenantList
from gateway.registry.revocation import TokenRevocations
from gateway.registry.tenants import Tenants
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.scopes import Grants

from .jwks import KeySource


@dataclass(frozen=True)
class Parts:
    """The first of `orgs` is the default one."""

    clock: Clock
    tenants: Tenants
    tenant_list: TenantList
    keys: Keys
    key_index: KeyIndex
    last_used: LastUsed
    grants: Grants
    revocations: TokenRevocations
    domains: Domains
    resources: Resources
    usage: Usage
    audit: Audit
    answers: Answers
    plans: Mapping[str, Plan]
    orgs: Mapping[str, Organization]
    metrics: Mapping[str, Metric]
    jwks: KeySource
