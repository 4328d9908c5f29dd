"""Every refusal that the gateway knows: its code, status, owner, and what the reader should do next.

A status is stated here and nowhere else; the documentation, the metrics' labels and the OpenAPI documents read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Owner(StrEnum):
    """Who has to act."""

    CLIENT = "client"
    TENANT = "tenant"
    STORE = "store"
    UPSTREAM = "upstream"
    CONFIG = "config"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. `advice` is a sentence that tells the reader what to do next."""

    code: str
    status: int
    owner: Owner
    title: str
    advice: str


_catalogue: dict[str, Problem] = {}
CATALOGUE: Mapping[str, Problem] = MappingProxyType(_catalogue)


def _problem(code: str, status: int, owner: Owner, title: str, advice: str) -> Problem:
    problem = Problem(code, status, owner, title, advice)
    assert code not in _catalogue, code
    _catalogue[code] = problem
    return problem


@dataclass(eq=False)
class Refused(Exception):
    """A request ends here, with this problem.

    `detail` is for the client and never holds a secret. `retry_after` is in seconds. `members` are further members of
    the problem document (RFC 9457, 3.2), `headers` go onto the answer.
    """

    problem: Problem
    detail: str = ""
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    members: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.problem.code}: {self.detail or self.problem.advice}"


_C, _T, _S, _U, _F, _G = (Owner.CLIENT, Owner.TENANT, Owner.STORE, Owner.UPSTREAM, Owner.CONFIG, Owner.GATEWAY)

# Hygiene
BAD_REQUEST = _problem("BAD_REQUEST", 400, _C, "Malformed request", "Send a request that is well formed by RFC 9112.")
BAD_PATH = _problem(
    "BAD_PATH", 400, _C, "Unsafe path", "Send the path in its plain form: no dot segments, encoded slashes or doubled slashes."
)
DUPLICATE_HEADER = _problem(
    "DUPLICATE_HEADER", 400, _C, "Security header sent twice", "Send each security header once, with one value."
)
LOOKALIKE_HEADER = _problem(
    "LOOKALIKE_HEADER", 400, _C, "Look-alike of a security header", "Spell the header with hyphens, or leave it out."
)
REQUEST_TIMEOUT = _problem("REQUEST_TIMEOUT", 408, _C, "Request too slow", "Send the request without pauses.")
CLIENT_CLOSED_REQUEST = _problem(
    "CLIENT_CLOSED_REQUEST", 499, _C, "Client went away", "Nobody reads this answer; the log and the metrics count it."
)
BODY_TOO_LARGE = _problem("BODY_TOO_LARGE", 413, _C, "Body too large", "Send a smaller body; the route declares its limit.")
TARGET_TOO_LONG = _problem("TARGET_TOO_LONG", 414, _C, "Target too long", "Shorten the path or the query.")
HEADERS_TOO_LARGE = _problem("HEADERS_TOO_LARGE", 431, _C, "Headers too large", "Send fewer or shorter headers.")

# Route
ROUTE_NOT_FOUND = _problem("ROUTE_NOT_FOUND", 404, _C, "No such route", "Check host and path.")
METHOD_NOT_ALLOWED = _problem("METHOD_NOT_ALLOWED", 405, _C, "Method not allowed", "Use a method that `Allow` names.")
UPGRADE_NOT_SUPPORTED = _problem(
    "UPGRADE_NOT_SUPPORTED", 400, _C, "Upgrade not supported", "Only WebSocket upgrades pass, and only to an upstream."
)

# Authenticate
AMBIGUOUS_CREDENTIALS = _problem(
    "AMBIGUOUS_CREDENTIALS", 400, _C, "More than one credential", "Send one kind of credential in a request."
)
CREDENTIALS_MISSING = _problem(
    "CREDENTIALS_MISSING", 401, _C, "No credentials", "Send a credential that `WWW-Authenticate` names."
)
CREDENTIAL_NOT_ACCEPTED = _problem(
    "CREDENTIAL_NOT_ACCEPTED", 401, _C, "Credential of another kind", "Send a credential that `WWW-Authenticate` names."
)
TOKEN_MISSING = _problem("TOKEN_MISSING", 401, _C, "No token", "Send `Authorization: Bearer <token>`.")
TOKEN_MALFORMED = _problem("TOKEN_MALFORMED", 401, _C, "Malformed token", "Send the token as it was issued.")
TOKEN_INVALID = _problem("TOKEN_INVALID", 401, _C, "Invalid token", "Log in again to get a token from a trusted issuer.")
TOKEN_EXPIRED = _problem("TOKEN_EXPIRED", 401, _C, "Expired token", "Refresh the token, or log in again.")
TOKEN_NOT_ACTIVE = _problem(
    "TOKEN_NOT_ACTIVE", 401, _C, "Token not yet valid", "Wait until the token's start, or check the clock."
)
TOKEN_REVOKED = _problem("TOKEN_REVOKED", 401, _C, "Revoked token", "Log in again.")
TENANT_HEADER_MISSING = _problem(
    "TENANT_HEADER_MISSING", 401, _C, "No tenant named", "Name the tenant: send `X-Tenant: <slug>` beside the credential."
)
TENANT_MISMATCH = _problem(
    "TENANT_MISMATCH", 401, _C, "Credential of another tenant", "Name the tenant that the credential was issued for."
)
TENANT_UNKNOWN = _problem("TENANT_UNKNOWN", 401, _C, "Unknown tenant", "Check the tenant's name, or ask its platform.")
SIGNATURE_MISSING = _problem("SIGNATURE_MISSING", 401, _C, "No signature", "Sign the request with the tenant's secret.")
SIGNATURE_INVALID = _problem(
    "SIGNATURE_INVALID", 401, _C, "Invalid signature", "Check tenant id, secret and the string that is signed."
)
SIGNATURE_EXPIRED = _problem(
    "SIGNATURE_EXPIRED", 401, _C, "Signature out of its window", "Sign again with the present time in seconds; check the clock."
)
REPLAYED_REQUEST = _problem("REPLAYED_REQUEST", 401, _C, "Replayed request", "Sign each request with a fresh nonce.")
KEY_MISSING = _problem("KEY_MISSING", 401, _C, "No key", "Send the key that was issued to you.")
KEY_INVALID = _problem("KEY_INVALID", 401, _C, "Invalid key", "Check that the whole key was copied.")
KEY_EXPIRED = _problem("KEY_EXPIRED", 401, _C, "Expired key", "Ask the platform for a new key.")
KEY_REVOKED = _problem("KEY_REVOKED", 401, _C, "Revoked key", "Ask the platform for a new key.")
ADMIN_KEY_INVALID = _problem("ADMIN_KEY_INVALID", 401, _C, "Invalid admin key", "Send a valid `X-Admin-Key`.")

# Right
INSUFFICIENT_SCOPE = _problem(
    "INSUFFICIENT_SCOPE", 403, _C, "Insufficient scope", "Use a credential that has the scopes named in `WWW-Authenticate`."
)
TENANT_KEY_FORBIDDEN = _problem(
    "TENANT_KEY_FORBIDDEN", 403, _C, "Not with a tenant's key", "Only a platform key may name a tenant by reference."
)
PLATFORM_ONLY = _problem("PLATFORM_ONLY", 403, _C, "Not with a tenant's credential", "Use a key of the platform.")
TENANT_KEY_CANNOT_CREATE_TENANTS = _problem(
    "TENANT_KEY_CANNOT_CREATE_TENANTS", 403, _C, "A tenant can't create tenants", "Use a key of the platform."
)

# Tenant
TENANT_SUSPENDED = _problem("TENANT_SUSPENDED", 403, _T, "Tenant suspended", "Ask the platform to reactivate the tenant.")
TENANT_ARCHIVED = _problem("TENANT_ARCHIVED", 403, _T, "Tenant archived", "The tenant is closed; ask the platform.")
TENANT_READ_ONLY = _problem("TENANT_READ_ONLY", 403, _T, "Tenant is read only", "Read, or ask the platform to allow writes.")
TENANT_PROVISIONING = _problem(
    "TENANT_PROVISIONING", 503, _T, "Tenant being set up", "Try again when `Retry-After` has passed."
)
TENANT_NOT_USABLE = _problem(
    "TENANT_NOT_USABLE", 409, _T, "Tenant not usable", "The referenced tenant is not active; unsuspend it first."
)
TENANT_AUTO_CREATE_RATE_LIMITED = _problem(
    "TENANT_AUTO_CREATE_RATE_LIMITED",
    429,
    _C,
    "Too many new tenants",
    "Try again when `Retry-After` has passed; known references pass meanwhile.",
)

# Entitlements
FEATURE_NOT_IN_PLAN = _problem("FEATURE_NOT_IN_PLAN", 403, _T, "Not in the plan", "Change to a plan that has the feature.")
DOMAIN_NOT_ALLOWED = _problem("DOMAIN_NOT_ALLOWED", 403, _C, "Domain not allowed", "Use a domain that the key allows.")
ORIGIN_NOT_ALLOWED = _problem(
    "ORIGIN_NOT_ALLOWED", 403, _T, "Origin not allowed", "Add the page's origin to the tenant's `origins`."
)

# Admit
RATE_LIMITED = _problem("RATE_LIMITED", 429, _C, "Too many requests", "Slow down; try again when `Retry-After` has passed.")
TENANT_QUOTA_EXCEEDED = _problem(
    "TENANT_QUOTA_EXCEEDED", 429, _T, "Quota used up", "Wait for the next month, or raise the tenant's cap."
)
ORG_QUOTA_EXCEEDED = _problem(
    "ORG_QUOTA_EXCEEDED", 429, _T, "Organization's quota used up", "Wait for the next month, or raise the platform's plan."
)
PLAN_LIMIT_REACHED = _problem(
    "PLAN_LIMIT_REACHED", 403, _T, "Plan's limit reached", "Remove what is no longer needed, or change to a larger plan."
)
CONCURRENCY_LIMITED = _problem(
    "CONCURRENCY_LIMITED", 429, _C, "Too many requests at once", "Let running requests finish before sending more."
)

# Forward
UPSTREAM_UNREACHABLE = _problem(
    "UPSTREAM_UNREACHABLE", 502, _U, "Upstream unreachable", "Try again; tell the service's operator."
)
UPSTREAM_INVALID_RESPONSE = _problem(
    "UPSTREAM_INVALID_RESPONSE", 502, _U, "Upstream answered nonsense", "Tell the service's operator."
)
UPSTREAM_CLOSED = _problem("UPSTREAM_CLOSED", 502, _U, "Upstream hung up", "Try again if the request may run twice.")
UPSTREAM_BUSY = _problem(
    "UPSTREAM_BUSY", 503, _U, "Upstream overloaded", "Try again when `Retry-After` has passed; too many requests wait already."
)
UPSTREAM_TIMEOUT = _problem("UPSTREAM_TIMEOUT", 504, _U, "Upstream too slow", "Try again if the request may run twice.")

# Outages and faults of our own: never reported as a bad credential
STORE_UNAVAILABLE = _problem(
    "STORE_UNAVAILABLE", 503, _S, "State store unavailable", "Try again when `Retry-After` has passed; the operator sees why."
)
WRITE_NOT_DURABLE = _problem(
    "WRITE_NOT_DURABLE",
    503,
    _S,
    "Change not known to be on disk",
    "The change is in force, but a store that fails now may lose it; read before you repeat it.",
)
KEYS_UNAVAILABLE = _problem(
    "KEYS_UNAVAILABLE", 503, _F, "Issuer's keys unavailable", "Try again; the operator checks the issuer's JWKS."
)
RESOLVER_UNAVAILABLE = _problem(
    "RESOLVER_UNAVAILABLE", 503, _F, "DNS can't be asked", "Try again; the operator checks `domains.resolver`."
)
PLAN_UNKNOWN = _problem(
    "PLAN_UNKNOWN",
    503,
    _F,
    "Tenant's plan is not configured",
    "The operator declares the plan in gateway.yaml, or moves the tenant.",
)
SECRETS_UNREADABLE = _problem(
    "SECRETS_UNREADABLE",
    503,
    _F,
    "Stored secrets can't be read",
    "The operator configures the encryption key that they were stored with, as `encryption_key` or as a retired one.",
)
SHUTTING_DOWN = _problem("SHUTTING_DOWN", 503, _G, "Shutting down", "Try again; another instance will answer.")
WORKER_UNAVAILABLE = _problem(
    "WORKER_UNAVAILABLE",
    503,
    _G,
    "A worker does not serve",
    "Wait; the gateway replaces a worker that has ended, and logs why.",
)
INTERNAL_ERROR = _problem(
    "INTERNAL_ERROR", 500, _G, "Internal error", "Tell the operator the request id; the log has the cause."
)

# APIs of the gateway itself
IDEMPOTENCY_KEY_IN_USE = _problem(
    "IDEMPOTENCY_KEY_IN_USE",
    409,
    _C,
    "Request with this key not answered yet",
    "Wait for the first request's answer. Where it was lost, read what there is before you repeat it with a fresh key.",
)
IDEMPOTENCY_KEY_REUSED = _problem(
    "IDEMPOTENCY_KEY_REUSED", 422, _C, "Key of another request", "Send another request with a fresh `Idempotency-Key`."
)
PRECONDITION_FAILED = _problem(
    "PRECONDITION_FAILED", 412, _C, "Changed since it was read", "Read again, then repeat the change with the new `ETag`."
)
NOT_FOUND = _problem("NOT_FOUND", 404, _C, "Not found", "Check the identifier.")
INVALID_BODY = _problem("INVALID_BODY", 422, _C, "Invalid input", "Correct the fields named in `errors`.")
SLUG_TAKEN = _problem("SLUG_TAKEN", 409, _C, "Slug taken", "Choose another slug.")
EXTERNAL_REF_TAKEN = _problem("EXTERNAL_REF_TAKEN", 409, _C, "External reference taken", "A tenant with this reference exists.")
TENANT_NOT_SUSPENDED = _problem("TENANT_NOT_SUSPENDED", 409, _C, "Tenant is not suspended", "Nothing has to be lifted.")
TENANT_NOT_PROVISIONING = _problem(
    "TENANT_NOT_PROVISIONING", 409, _C, "Tenant is not being set up", "Nothing has to be acknowledged."
)
# The same code as in the data path, but here it is a change of the tenant that is refused, not a use of it.
TENANT_IS_ARCHIVED = Problem("TENANT_ARCHIVED", 409, _C, "Tenant archived", "Archiving is final; create a new tenant.")
TENANT_IS_PROVISIONING = Problem("TENANT_PROVISIONING", 409, _C, "Tenant being set up", "Acknowledge it first.")
DOMAIN_TAKEN = _problem("DOMAIN_TAKEN", 409, _C, "Domain taken", "Whoever has it has to delete it first; ask the platform.")
DOMAIN_NOT_VERIFIED = _problem(
    "DOMAIN_NOT_VERIFIED", 409, _C, "Domain not proved", "Publish the TXT record that `record` names, then verify again."
)
TOO_MANY_DOMAINS = _problem("TOO_MANY_DOMAINS", 409, _C, "Too many domains", "Delete domains that are no longer used.")
TOO_MANY_KEYS = _problem("TOO_MANY_KEYS", 409, _C, "Too many keys", "Revoke keys that are no longer used.")
TOO_MANY_REVOCATIONS = _problem(
    "TOO_MANY_REVOCATIONS", 409, _C, "Too many revocations", "Revoke by instant: `issued_before`, of all the tenant's tokens."
)
KEY_ENDED = _problem("KEY_ENDED", 409, _C, "Key has ended", "Mint another key; one that is revoked or expired stays so.")
TOO_MANY_WEBHOOKS = _problem("TOO_MANY_WEBHOOKS", 409, _C, "Too many webhooks", "Delete webhooks that are no longer used.")
TOO_MANY_EVENTS = _problem(
    "TOO_MANY_EVENTS", 409, _C, "Too many events wait", "Wait until the endpoint has taken some of them, then repeat the call."
)
WRITE_CONFLICT = _problem("WRITE_CONFLICT", 409, _C, "Changed by somebody else", "Read again, then repeat the change.")
