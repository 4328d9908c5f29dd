"""The domains that a key is restricted to: only what there is can be named."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.registry.domains import Domains
from gateway.registry.owner import Owner

from .body import invalid


async def check_domains(domains: Domains, org: str, owner: Owner, ids: Sequence[str] | None) -> None:
    """`owner` is that of the key. Raises Refused(INVALID_BODY)."""
    if ids and await domains.usable(org, owner, ids) < set(ids):
        raise invalid({"allowed_domain_ids": "names a domain that neither the key's owner nor its organization has"})
