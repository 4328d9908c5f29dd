"""JSON Web Tokens in `Authorization: Bearer` (RFC 7519, RFC 6750), read as strictly as RFC 8725 advises.

Three steps that nothing skips: `parse` looks at the form, `verify` at the signature, `validate` at the claims. Nothing a token
says is believed before its signature holds, except which key to try.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated, ClassVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from pydantic import ConfigDict, Field

from gateway.errors import (
    TENANT_UNKNOWN,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    TOKEN_MISSING,
    TOKEN_NOT_ACTIVE,
    TOKEN_REVOKED,
    Problem,
)
from gateway.pipeline.claim import Claim, Evidence
from gateway.pipeline.issuer import Issuer, KeySet
from gateway.pipeline.jws import CHALLENGE, Token, parse, refuse
from gateway.pipeline.lookup import TenantBySlug
from gateway.pipeline.policy import Phase, PolicyConfig, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.tenancy.credential import Revocations
from gateway.tenancy.slug import is_slug
from gateway.tenancy.tenant import Tenant

_MAX_TEXT = 255
_LAST_INSTANT = 253_402_300_799
"""The end of the year 9999. A later `exp` is a mistake, such as milliseconds, and would make a token that lives for ever."""

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

# Issuers that type their tokens by a claim: `typ` (Keycloak), `token_use` (Cognito), `token_type` and `type` (frameworks).
_TYPE_CLAIMS = ("typ", "token_use", "token_type", "type")
_OTHER_TYPES = frozenset({"refresh", "offline", "logout", "refresh_token", "logout_token", "refresh+jwt", "logout+jwt"})
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class JwtBearer:
    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    missing: ClassVar[Problem] = TOKEN_MISSING
    challenge: ClassVar[str] = CHALLENGE

    class Config(PolicyConfig):
        model_config = ConfigDict(use_attribute_docstrings=True)

        issuers: Annotated[tuple[str, ...], Field(min_length=1)]
        """Names of `identity.issuers` whose tokens are accepted."""

    def __init__(self, config: Config, setup: Setup) -> None:
        """Raises ValueError where an issuer is unknown, or two of them can't be told apart."""
        for name in config.issuers:
            if name not in setup.issuers:
                raise ValueError(f"no issuer {name!r} in identity.issuers; there are: {', '.join(setup.issuers) or 'none'}")
        self._issuers = tuple(setup.issuers[name] for name in config.issuers)
        _check_distinct(self._issuers)
        self._key_prefix = setup.key_prefix + "_"

    def presents(self, request: InboundRequest) -> bool:
        token = request.bearer
        return token is not None and not token.startswith(self._key_prefix)

    def presented(self, request: InboundRequest) -> str:
        return request.bearer or ""

    def holds(self, claim: Claim, now: float) -> bool:
        return isinstance(claim, JwtClaim) and now < claim.expires and claim.generation == claim.keys.generation

    def authenticate(self, request: InboundRequest) -> JwtClaim:
        token = parse(self.presented(request))
        issuer = issuer_of(token, self._issuers)
        verify(token, issuer)
        return validate(token.payload, issuer, request.received_at)


@dataclass(frozen=True, slots=True)
class JwtClaim:
    """A token that holds by itself. What is left to see is whether its tenant exists and has not revoked it.

    `org`: the organization to which its issuer is confined; None: to none. `expires`: when it ends, leeway included. `keys` are
    those that it was verified with, as they were at `generation`.
    """

    tenant: str
    org: str | None
    subject: str
    role: str | None
    scopes: frozenset[str]
    token_id: str | None
    issued_at: float | None
    expires: float
    keys: KeySet = field(compare=False)
    generation: int = 0
    needs_body: ClassVar[bool] = False

    @property
    def lookup(self) -> TenantBySlug:
        return TenantBySlug(self.tenant)

    def prove(self, evidence: Evidence) -> Principal:
        tenant = evidence.record
        if not isinstance(tenant, Tenant) or self.org not in (None, tenant.org):
            refuse(TENANT_UNKNOWN, "The token's tenant does not exist here.")
        if self._revoked(tenant.revocations):
            refuse(TOKEN_REVOKED)
        return Principal(method="jwt", subject=self.subject, org=tenant.org, role=self.role, scopes=self.scopes)

    def _revoked(self, revocations: Revocations) -> bool:
        if self.token_id in revocations.tokens:
            return True
        instant = max(revocations.issued_before, revocations.subjects.get(self.subject, 0.0))
        # A token that hides its age may be as old as any.
        return instant > 0 and (self.issued_at is None or self.issued_at < instant)


def issuer_of(token: Token, issuers: Iterable[Issuer]) -> Issuer:
    """The one issuer that the token can be from: by its `iss`, else one of which no `iss` is known; and by its algorithm.

    Raises Refused(TOKEN_INVALID). `none` is in no issuer's list of algorithms.
    """
    said = token.payload.get("iss")
    named = [issuer for issuer in issuers if issuer.issuer is not None and issuer.issuer == said]
    fitting = named or [issuer for issuer in issuers if issuer.issuer is None]
    able = [issuer for issuer in fitting if token.algorithm in issuer.algorithms]
    if len(able) != 1:
        refuse(TOKEN_INVALID, "No issuer that is trusted here has this `iss` and signs with this `alg`.")
    return able[0]


def verify(token: Token, issuer: Issuer) -> None:
    """Raises Refused(TOKEN_INVALID), and what `KeySet.find` raises."""
    for key in issuer.keys.find(token.key_id, token.algorithm):
        # The key's own algorithm, never the token's, decides how it is used: a public key is no HMAC secret.
        if key.algorithm_name != token.algorithm or not _is_whole(token.signature, key):
            continue
        if key.Algorithm.verify(token.signed, key.key, token.signature):
            return
    refuse(TOKEN_INVALID, "The token's signature does not hold under any key of its issuer.")


def _is_whole(signature: bytes, key: PyJWK) -> bool:
    """RFC 8017, 8.1.2, step 1: an RSA signature is as long as its modulus. OpenSSL also takes one without its leading
    zeros under PSS, which would give one in 256 tokens a second form."""
    return not isinstance(key.key, RSAPublicKey) or len(signature) == (key.key.key_size + 7) // 8


def validate(payload: Mapping[str, object], issuer: Issuer, now: float) -> JwtClaim:
    """The claims of a verified token at `now`, in seconds since 1970. Raises Refused."""
    _check_purpose(payload)
    if issuer.audience is not None and not _is_audience(payload.get("aud"), issuer.audience):
        refuse(TOKEN_INVALID, "The token's `aud` is not the one that is expected here.")
    issued_at, expires = _check_times(payload, issuer.leeway, now)
    subject, tenant = _text(payload, "sub"), _text(payload, issuer.tenant_claim)
    if subject is None or tenant is None:
        refuse(TOKEN_INVALID, f"The token needs the claims `sub` and `{issuer.tenant_claim}`, each one string.")
    if not is_slug(tenant):
        refuse(TENANT_UNKNOWN, "The token's tenant does not exist here.")
    return JwtClaim(
        tenant=tenant,
        org=issuer.org,
        subject=subject,
        role=_text(payload, issuer.role_claim),
        scopes=_scopes(payload, issuer.scope_claim),
        token_id=_text(payload, "jti"),
        issued_at=issued_at,
        expires=expires,
        keys=issuer.keys,
        generation=issuer.keys.generation,
    )


def _check_distinct(issuers: Sequence[Issuer]) -> None:
    for one, other in combinations(issuers, 2):
        if one.issuer == other.issuer and one.algorithms & other.algorithms:
            raise ValueError(f"issuers {one.name!r} and {other.name!r} can't be told apart: give each its own `issuer`")


def _check_purpose(payload: Mapping[str, object]) -> None:
    said = {value.lower() for value in (payload.get(name) for name in _TYPE_CLAIMS) if isinstance(value, str)}
    events = payload.get("events")
    if said & _OTHER_TYPES or (isinstance(events, dict) and _LOGOUT_EVENT in events):
        refuse(TOKEN_INVALID, "The token is of another kind than an access token.")


def _is_audience(said: object, expected: str) -> bool:
    """RFC 7519, 4.1.3: one string, or a list of strings."""
    if isinstance(said, list):
        return expected in said and all(isinstance(item, str) for item in said)
    return said == expected


def _check_times(payload: Mapping[str, object], leeway: float, now: float) -> tuple[float | None, float]:
    """Returns `iat`, and when the token ends. Each instant is moved by `leeway` seconds in the token's favour."""
    expires, starts, issued = (_instant(payload, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        refuse(TOKEN_INVALID, "The token needs the claim `exp`.")
    if now >= expires + leeway:
        refuse(TOKEN_EXPIRED)
    if max(starts or 0.0, issued or 0.0) > now + leeway:
        refuse(TOKEN_NOT_ACTIVE)
    return issued, expires + leeway


def _instant(payload: Mapping[str, object], name: str) -> float | None:
    if name not in payload:
        return None
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_INSTANT:
        refuse(TOKEN_INVALID, f"The token's `{name}` is not a number of seconds since 1970.")
    return float(value)


def _text(payload: Mapping[str, object], name: str) -> str | None:
    """One string that can stand in a header as it is: nothing invisible in it, no space around it, 255 characters at most."""
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable() or value != value.strip():
        refuse(TOKEN_INVALID, f"The token's `{name}` is not one plain string of 1 to {_MAX_TEXT} characters.")
    return value


def _scopes(payload: Mapping[str, object], name: str) -> frozenset[str]:
    """A list of scopes, or one string of them parted by spaces; each as in RFC 6749, 3.3."""
    value = payload.get(name)
    if value is None:
        return frozenset()
    scopes = [scope for scope in value.split(" ") if scope] if isinstance(value, str) else value
    if not isinstance(scopes, list) or not all(isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in scopes):
        refuse(TOKEN_INVALID, f"The token's `{name}` is not a list of scopes, nor a string of them parted by spaces.")
    return frozenset(scopes)
