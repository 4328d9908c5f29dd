"""A request of a known caller. It cannot be made without a principal, so nothing can be checked before authentication."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.errors import TENANT_HEADER_MISSING, Refused
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Plan
from gateway.tenancy.tenant import Tenant

from .lookup import TenantByRef
from .principal import Principal
from .request import InboundRequest


@dataclass(frozen=True, slots=True)
class Customer:
    """The tenant that a call is for, with the plan and the organization that its record names."""

    tenant: Tenant
    plan: Plan
    org: Organization


@dataclass(frozen=True, slots=True)
class Call:
    """`route` and `upstream` are names from gateway.yaml; `upstream` is None where the gateway answers itself. `body` is there
    for policies that read it: whole, None where it is too large for that."""

    request: InboundRequest
    route: str
    upstream: str | None
    principal: Principal
    customer: Customer | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def awaits(self) -> TenantByRef | None:
        """The reference of the tenant that the call is for, as long as there is no such tenant. It is made once the caller has
        shown its right."""
        named = self.principal.acts_for
        return named if self.customer is None and isinstance(named, TenantByRef) else None

    def require_customer(self) -> Customer:
        """The tenant side of the call. Raises Refused where the caller has named none."""
        if self.customer is None:
            raise Refused(TENANT_HEADER_MISSING)
        return self.customer
