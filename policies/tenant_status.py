"""Only tenants in a state to be served are served."""

from __future__ import annotations

from typing import ClassVar, Literal

from gateway.errors import TENANT_ARCHIVED, TENANT_PROVISIONING, TENANT_READ_ONLY, TENANT_SUSPENDED, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, RestsOn, Setup
from gateway.tenancy.tenant import Status

_PROVISIONING_WAIT = 5  # seconds; setting up a schema takes about as long


class TenantStatus:
    """Calls without a tenant pass: there is no state to look at."""

    phase: ClassVar[Phase] = Phase.STATE
    rests_on: ClassVar[RestsOn] = "head"

    class Config(PolicyConfig):
        suspended: Literal["refuse", "read"] = "refuse"
        """`read` lets a platform key read (GET, HEAD, OPTIONS) for suspended and archived tenants, so that support can."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self._support_reads = config.suspended == "read"

    def check(self, call: Call) -> None:
        if call.customer is None:
            return
        support = self._support_reads and call.principal.root and _only_reads(call)
        match call.customer.tenant.status:
            case Status.ACTIVE:
                return
            case Status.SUSPENDED if not support:
                raise Refused(TENANT_SUSPENDED)
            case Status.ARCHIVED if not support:
                raise Refused(TENANT_ARCHIVED)
            case Status.READ_ONLY if not _only_reads(call):
                raise Refused(TENANT_READ_ONLY, f"{call.request.method} may change something.")
            case Status.PROVISIONING:
                raise Refused(TENANT_PROVISIONING, retry_after=_PROVISIONING_WAIT)


def _only_reads(call: Call) -> bool:
    """Safe by RFC 9110, 9.2.1. A WebSocket opens with GET, but what it carries later can be anything."""
    return call.request.method in ("GET", "HEAD", "OPTIONS") and not call.request.websocket
