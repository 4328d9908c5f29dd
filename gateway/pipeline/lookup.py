"""Which record a credential leads to. Each of these is a map in the store, immutable but for hosts and origins; whether the
credential is *valid* stands in the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from gateway.tenancy.org import Organization
from gateway.tenancy.tenant import Tenant


@dataclass(frozen=True, slots=True)
class TenantById:
    id: UUID


@dataclass(frozen=True, slots=True)
class TenantBySlug:
    slug: str


@dataclass(frozen=True, slots=True)
class TenantByRef:
    org: str
    ref: str


@dataclass(frozen=True, slots=True)
class OrgByName:
    name: str


@dataclass(frozen=True, slots=True)
class OwnerOfKey:
    """The tenant or the organization that holds the API key with this SHA-256 (lower-case hex)."""

    digest: str


@dataclass(frozen=True, slots=True)
class OwnerOfWidgetKey:
    key: str


@dataclass(frozen=True, slots=True)
class TenantByOrigin:
    """Some tenant that lists this browser origin; a CORS preflight names nothing else."""

    origin: str


@dataclass(frozen=True, slots=True)
class TenantByHost:
    """The tenant that has proved this domain, as it is stored."""

    host: str


Lookup = TenantById | TenantBySlug | TenantByRef | OrgByName | OwnerOfKey | OwnerOfWidgetKey | TenantByOrigin | TenantByHost
Record = Tenant | Organization
