"""What a request says about its tenant must agree with its credential, and a caller with a credential must have a tenant."""

from __future__ import annotations

from typing import ClassVar

from gateway.errors import TENANT_HEADER_MISSING, TENANT_MISMATCH, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, RestsOn, Setup
from gateway.tenancy.ids import parse_id


class TenantMatch:
    """Slugs are compared byte for byte: no case folding, no normalisation. Anonymous callers pass, unless the host has
    told their tenant."""

    phase: ClassVar[Phase] = Phase.MATCH
    rests_on: ClassVar[RestsOn] = "head"

    class Config(PolicyConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        pass

    def check(self, call: Call) -> None:
        if call.principal.method == "public" and call.customer is None:
            return
        # A tenant that is still to be made has nothing yet that could differ.
        if call.awaits is not None:
            return
        # The APIs of the gateway itself are about a platform's tenants, not in the name of one.
        if call.principal.root and call.customer is None and call.upstream is None:
            return
        tenant = call.require_customer().tenant
        slug, tenant_id = call.request.header("x-tenant"), call.request.header("x-tenant-id")
        if call.principal.method == "jwt" and not slug:
            raise Refused(TENANT_HEADER_MISSING, "A token needs `X-Tenant: <slug>` beside it.")
        if slug is not None and slug != tenant.slug:
            raise Refused(TENANT_MISMATCH, "`X-Tenant` names another tenant than the credential.")
        if tenant_id is not None and parse_id("tnt", tenant_id) != tenant.id:
            raise Refused(TENANT_MISMATCH, "`X-Tenant-Id` names another tenant than the credential.")
