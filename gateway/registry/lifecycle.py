"""From one state of a tenant to the next: pure edits of its record. To the state that it has: nothing changes."""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import (
    TENANT_IS_ARCHIVED,
    TENANT_IS_PROVISIONING,
    TENANT_NOT_PROVISIONING,
    TENANT_NOT_SUSPENDED,
    Refused,
)
from gateway.tenancy.tenant import Status, Tenant


def check_alive(tenant: Tenant) -> None:
    """Raises TENANT_IS_ARCHIVED."""
    if tenant.status is Status.ARCHIVED:
        raise Refused(TENANT_IS_ARCHIVED)


def suspended(tenant: Tenant, reason: str | None) -> Tenant:
    """`reason` is written anew. What the tenant was before it becomes again: a suspension must not end in more rights. Raises
    TENANT_IS_ARCHIVED."""
    check_alive(tenant)
    before = tenant.profile.suspended_from
    if tenant.status is not Status.SUSPENDED:
        before = None if tenant.status is Status.ACTIVE else tenant.status
    return _moved(tenant, Status.SUSPENDED, before, reason)


def unsuspended(tenant: Tenant) -> Tenant:
    """Raises TENANT_IS_ARCHIVED, TENANT_NOT_SUSPENDED."""
    check_alive(tenant)
    if tenant.status is not Status.SUSPENDED:
        raise Refused(TENANT_NOT_SUSPENDED)
    return _moved(tenant, tenant.profile.suspended_from or Status.ACTIVE)


def archived(tenant: Tenant) -> Tenant:
    return tenant if tenant.status is Status.ARCHIVED else _moved(tenant, Status.ARCHIVED)


def acknowledged(tenant: Tenant) -> Tenant:
    """Its backend is ready for it. Raises TENANT_IS_ARCHIVED, TENANT_NOT_PROVISIONING."""
    check_alive(tenant)
    if tenant.status is Status.PROVISIONING:
        return _moved(tenant, Status.ACTIVE)
    if tenant.profile.suspended_from is Status.PROVISIONING:
        return replace(tenant, profile=replace(tenant.profile, suspended_from=None))
    raise Refused(TENANT_NOT_PROVISIONING)


def read_only(tenant: Tenant, is_read_only: bool) -> Tenant:
    """Of a suspended tenant: what it is once the suspension is lifted. Raises TENANT_IS_ARCHIVED, TENANT_IS_PROVISIONING."""
    check_alive(tenant)
    before = tenant.profile.suspended_from if tenant.status is Status.SUSPENDED else tenant.status
    if before is Status.PROVISIONING:
        if is_read_only:
            raise Refused(TENANT_IS_PROVISIONING)
        return tenant
    if tenant.status is not Status.SUSPENDED:
        return replace(tenant, status=Status.READ_ONLY if is_read_only else Status.ACTIVE)
    return replace(tenant, profile=replace(tenant.profile, suspended_from=Status.READ_ONLY if is_read_only else None))


def _moved(tenant: Tenant, to: Status, before: Status | None = None, reason: str | None = None) -> Tenant:
    return replace(tenant, status=to, profile=replace(tenant.profile, suspend_reason=reason, suspended_from=before))
