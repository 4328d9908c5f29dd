"""What the endpoints stand on, handed to them by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.billing.billed import Billed
from gateway.clock import Clock
from gateway.ledger.carry import Carry
from gateway.ledger.resources import Resources
from gateway.ledger.usage import Usage
from gateway.registry.audit import Audit
from gateway.registry.domains import Domains
from gateway.registry.dump import Dump
from gateway.registry.idempotency import Answers
from gateway.registry.key_index import KeyIndex
from gateway.registry.keys import Keys
from gateway.registry.last_used import LastUsed
from gateway.registry.listing import TenantList
from gateway.registry.restore import Restore
from gateway.registry.revocation import TokenRevocations
from gateway.registry.tenants import Tenants
from gateway.registry.webhooks import Webhooks
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Metric, Plan
from gateway.tenancy.scopes import Grants
from gateway.webhooks.address import Rules
from gateway.webhooks.letters import Letters
from gateway.webhooks.queue import Queue

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
    billed: Billed
    audit: Audit
    answers: Answers
    webhooks: Webhooks
    events: Queue
    letters: Letters
    webhook_rules: Rules
    plans: Mapping[str, Plan]
    orgs: Mapping[str, Organization]
    metrics: Mapping[str, Metric]
    jwks: KeySource
    dump: Dump
    restore: Restore
    carry: Carry
