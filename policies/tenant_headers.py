"""Tells the upstream who calls and for which tenant. The client's own headers of these names are gone already."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import ClassVar
from urllib.parse import quote

from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, RestsOn, Setup

_VISIBLE = re.compile(r"[!-$&-~]*")  # visible ASCII but `%`
_SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class TenantHeaders:
    """What comes from a credential may hold anything: all but visible ASCII is percent-encoded, `%` itself too, so that two
    different subjects never look the same and none can end a header. What is not known is not sent."""

    phase: ClassVar[Phase] = Phase.STAMP
    rests_on: ClassVar[RestsOn] = "caller"

    class Config(PolicyConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        pass

    def stamp(self, call: Call, headers: MutableMapping[str, str]) -> None:
        principal = call.principal
        headers["x-auth-method"] = principal.method
        headers["x-auth-subject"] = _encoded(principal.subject)
        headers["x-environment"] = principal.environment
        if principal.role is not None:
            headers["x-auth-role"] = _encoded(principal.role)
        if principal.scopes:
            headers["x-auth-scopes"] = " ".join(map(_encoded, sorted(principal.scopes)))
        if principal.credential_id is not None:
            headers["x-key-id"] = _encoded(principal.credential_id)
        if principal.allowed_domain_ids is not None:
            headers["x-allowed-domain-ids"] = ",".join(map(_encoded, principal.allowed_domain_ids))
        if call.customer is None:
            return
        tenant = call.customer.tenant
        headers["x-tenant"] = tenant.slug
        headers["x-tenant-id"] = tenant.typeid
        headers["x-tenant-schema"] = tenant.schema
        headers["x-tenant-plan"] = tenant.plan
        if tenant.region is not None:
            headers["x-tenant-region"] = _encoded(tenant.region)


def _encoded(text: str) -> str:
    if _VISIBLE.fullmatch(text):
        return text
    # JSON can carry halves of surrogate pairs (RFC 8259, 8.2); they have no UTF-8, yet must stay distinct.
    return quote(text, safe=_SAFE, errors="surrogatepass")
