"""Domains as they stand in the record of their owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from gateway.tenancy.domain import Domain


class DomainDocument(TypedDict):
    id: str
    name: str
    token: str
    created_at: float
    verified_at: NotRequired[float]


def from_domains(domains: Sequence[Domain]) -> list[DomainDocument] | None:
    """None where there are none: the entry is left out."""
    return [_from_domain(domain) for domain in domains] or None


def to_domains(documents: Sequence[DomainDocument]) -> tuple[Domain, ...]:
    return tuple(Domain(one["id"], one["name"], one["token"], one["created_at"], one.get("verified_at")) for one in documents)


def _from_domain(domain: Domain) -> DomainDocument:
    document: DomainDocument = {
        "id": domain.id,
        "name": domain.name,
        "token": domain.token,
        "created_at": domain.created_at,
    }
    if domain.verified_at is not None:
        document["verified_at"] = domain.verified_at
    return document
