"""Revoking JWTs of a tenant before they expire: single ones, or all that were issued before an instant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from gateway.errors import TOO_MANY_REVOCATIONS, Refused
from gateway.tenancy.credential import Revocations
from gateway.tenancy.tenant import Tenant

from .audit_entry import SYSTEM, Act, Actor, Json
from .changes import Changes

_MOST = 1_000
# No issuer's leeway is longer: so long after its end a token is refused as expired anyway.
_LEEWAY = 86400.0
_NEVER = 253_402_300_799.0


class TokenRevocations:
    """`actor` makes the changes. A revocation is in force everywhere when it has returned.

    Everything raises Refused: NOT_FOUND where there is no such tenant, TOO_MANY_REVOCATIONS, WRITE_CONFLICT, STORE_UNAVAILABLE;
    and WRITE_NOT_DURABLE where the revocation is in force but not known to be on disk.
    """

    def __init__(self, changes: Changes, actor: Actor = SYSTEM) -> None:
        self._changes = changes
        self._actor = actor

    def by(self, actor: Actor) -> Self:
        """The same, where `actor` makes the changes."""
        return type(self)(self._changes, actor)

    async def one(self, tenant_id: UUID, token_id: str, expires_at: float | None = None) -> Tenant:
        """Revoke the token with this `jti`. It is remembered until `expires_at`, when it ends anyway; None: for good."""
        until = _NEVER if expires_at is None else expires_at

        def edit(old: Revocations) -> Revocations:
            return replace(old, tokens={**old.tokens, token_id: max(until, old.tokens.get(token_id, 0.0))})

        told: dict[str, Json] = {"jti": token_id, "expires_at": None if expires_at is None else _written(expires_at)}
        return await self._change(tenant_id, edit, told)

    async def issued_before(self, tenant_id: UUID, instant: float, subject: str | None = None) -> Tenant:
        """Revoke all tokens of `subject` that were issued before `instant`, or of everybody; never fewer than before."""

        def edit(old: Revocations) -> Revocations:
            if subject is None:
                return replace(old, issued_before=max(instant, old.issued_before))
            return replace(old, subjects={**old.subjects, subject: max(instant, old.subjects.get(subject, 0.0))})

        return await self._change(tenant_id, edit, {"subject": subject, "issued_before": _written(instant)})

    async def _change(self, tenant_id: UUID, edit: Callable[[Revocations], Revocations], told: Mapping[str, Json]) -> Tenant:
        now = self._changes.clock.now()

        def revoked(tenant: Tenant) -> Tenant:
            return replace(tenant, revocations=_checked(_pruned(edit(tenant.revocations), now)))

        return await self._changes.tenant(tenant_id, revoked, Act(self._actor, "tokens.revoked", told))


def _pruned(revocations: Revocations, now: float) -> Revocations:
    """Without what says nothing any more."""
    return replace(
        revocations,
        tokens={name: end for name, end in revocations.tokens.items() if end + _LEEWAY > now},
        subjects={name: at for name, at in revocations.subjects.items() if at > revocations.issued_before},
    )


def _checked(revocations: Revocations) -> Revocations:
    if max(len(revocations.tokens), len(revocations.subjects)) > _MOST:
        raise Refused(TOO_MANY_REVOCATIONS, f"The tenant has {_MOST} of them.")
    return revocations


def _written(instant: float) -> str:
    return datetime.fromtimestamp(math.ceil(instant), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
