"""The operator API's call that revokes JWTs of a tenant before they expire."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.api.body import invalid
from gateway.api.endpoint import Answered, Asked, Endpoint, Example, endpoint
from gateway.api.instant import Instant
from gateway.api.parameters import ById, Input
from gateway.api.parts import Parts
from gateway.api.shape import Shape
from gateway.api.tenant_view import timestamp
from gateway.errors import NOT_FOUND, TOO_MANY_REVOCATIONS, WRITE_CONFLICT

from . import examples
from .tenants import note


def _claim(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must have neither control characters nor a space at either end, as the token has it")
    return text


Claim = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_claim)]


class Revoked(Input):
    """One token by its `jti`; or all of a `subject`, or of the whole tenant, that were issued before an instant."""

    jti: Claim | None = None
    expires_at: Instant | None = None
    """When the token of `jti` ends anyway: so long it is remembered. Absent: for good."""
    subject: Claim | None = None
    issued_before: Instant | None = None
    """Absent: now."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.jti is not None and (self.subject is not None or self.issued_before is not None):
            raise ValueError("`jti` revokes one token: neither `subject` nor `issued_before` goes with it")
        if self.jti is None and self.expires_at is not None:
            raise ValueError("`expires_at` is that of the token with a `jti`")
        return self


class RevokedShown(Shape):
    """What is revoked of the tenant's tokens."""

    tenant_id: str
    tokens: int
    """How many single tokens."""
    subjects: int
    """Of how many subjects those issued before an instant."""
    issued_before: str | None
    """Of everybody those issued before this instant."""


class _Calls:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def revoke(self, asked: Asked[ById, Revoked]) -> Answered:
        body, now = asked.body, self._parts.clock.now()
        revocations = self._parts.revocations.by(asked.caller.actor)
        if body.jti is not None:
            tenant = await revocations.one(asked.parameters.tenant_id, body.jti, body.expires_at)
        else:
            instant = now if body.issued_before is None else body.issued_before
            if instant > now:
                raise invalid(
                    {"issued_before": "must not lie in the future: what is issued until then would be revoked already"}
                )
            tenant = await revocations.issued_before(asked.parameters.tenant_id, instant, body.subject)
        note("tokens.revoked", asked.caller, tenant)
        revoked = tenant.revocations
        shown = {
            "tenant_id": str(tenant.id),
            "tokens": len(revoked.tokens),
            "subjects": len(revoked.subjects),
            "issued_before": timestamp(revoked.issued_before) if revoked.issued_before else None,
        }
        return Answered(shown, "Tokens revoked. They are refused from now on.")


def revocation_endpoints(parts: Parts) -> tuple[Endpoint, ...]:
    return (
        endpoint(
            "POST",
            "/revoke/tokens",
            _Calls(parts).revoke,
            name="revokeTokens",
            summary="Revoke JWTs of a tenant",
            parameters=ById,
            body=Revoked,
            answer=RevokedShown,
            errors=(NOT_FOUND, TOO_MANY_REVOCATIONS, WRITE_CONFLICT),
            example=Example(
                {"tenant_id": examples.ID, "tokens": 0, "subjects": 1, "issued_before": None},
                {"subject": "user-42"},
                examples.NAMED,
            ),
        ),
    )
