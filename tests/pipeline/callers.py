"""Policies, credentials and requests for the tests of whole decisions."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import jwt
import pytest

from gateway.errors import Problem, Refused
from gateway.pipeline.claim import KeysNeeded
from gateway.pipeline.issuer import Issuer
from gateway.pipeline.lookup import TenantBySlug
from gateway.tenancy.credential import ApiKey as StoredKey
from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.keytext import digest_of, new_api_key
from gateway.tenancy.org import Organization
from gateway.tenancy.plan import Plan
from gateway.tenancy.plan import RateLimit as Rating
from gateway.tenancy.tenant import Status
from policies.api_key import ApiKey
from policies.hmac_signature import HmacSignature, string_to_sign
from policies.jwt_bearer import JwtBearer
from policies.public import Public
from policies.quota import Quota as QuotaPolicy
from policies.rate_limit import RateLimit
from policies.scopes import Scopes
from policies.tenant_match import TenantMatch
from policies.tenant_status import TenantStatus
from tests import samples
from tests.pipeline.machine import Machine
from tests.samples import ACME, GLOBEX, SETUP

NOW = 1_750_000_000.0
SHARED = b"a secret of at least thirty-two bytes"
SIGNING = "sk_a-secret-for-signing"


class Keys:
    """One HMAC key, known at once or only after so many fetches."""

    def __init__(self, fetches: int = 0) -> None:
        self.missing = fetches

    generation = 0

    def find(self, kid: str | None, algorithm: str) -> Sequence[jwt.PyJWK]:
        if self.missing:
            self.missing -= 1
            raise KeysNeeded("main")
        return [jwt.PyJWK({"kty": "oct", "alg": "HS256", "k": urlsafe_b64encode(SHARED).decode()})]


def jwt_bearer(fetches: int = 0) -> JwtBearer:
    issuer = Issuer("main", frozenset({"HS256"}), Keys(fetches))
    return JwtBearer(JwtBearer.Config(issuers=("main",)), replace(SETUP, issuers={"main": issuer}))


JWT_BEARER = jwt_bearer()
API_KEY = ApiKey(ApiKey.Config(), SETUP)
SIGNATURE = HmacSignature(HmacSignature.Config(), SETUP)
PUBLIC = Public(Public.Config(), SETUP)
MATCH = TenantMatch(TenantMatch.Config(), SETUP)
STATUS = TenantStatus(TenantStatus.Config(), SETUP)
READER = Scopes(Scopes.Config(require=("read",)), SETUP)
RATE = RateLimit(RateLimit.Config(), SETUP)
QUOTA = QuotaPolicy(QuotaPolicy.Config(metric="requests"), SETUP)
WALK = (JWT_BEARER, MATCH, READER, STATUS, RATE, QUOTA)
PLAN = Plan("pro", rate=Rating(2, 60, 2), quotas={"requests": 10})
BY_SLUG = {TenantBySlug("acme"): ACME, TenantBySlug("globex"): GLOBEX}
SUSPENDED = replace(ACME, status=Status.SUSPENDED, version=2)

BOUND_TEXT, ROOT_TEXT = new_api_key("tg", "live"), new_api_key("tg", "live")


def stored(text: str, **fields) -> StoredKey:
    return StoredKey("key_1", digest_of(text), text[:12], text[-4:], "a key", "live", frozenset({"read"}), 0.0, "op", **fields)


BOUND = replace(ACME, keys=(stored(BOUND_TEXT),), secrets=(SigningSecret("sec_1", SIGNING.encode()),))
ROOT = Organization("main", version=1, keys=(stored(ROOT_TEXT),))


def token(tenant: str = "acme", scope: str = "read", **claims: object) -> str:
    return jwt.encode({"sub": "alice", "tenant": tenant, "scope": scope, "exp": NOW + 60, **claims}, SHARED, "HS256")


def bearer(text: str | None = None, tenant: str = "acme", method: str = "GET", **headers: str):
    sent = {"Authorization": f"Bearer {text or token()}", "X-Tenant": tenant, **headers}
    return samples.request(method, headers=sent, received_at=NOW)


def signed(body: bytes = b"", nonce: str = "0123456789abcdef"):
    stamp, tenant_id = str(int(NOW)), str(ACME.id)
    message = string_to_sign(tenant_id, stamp, nonce, "POST", "gateway.test", "/things", sha256(body).hexdigest())
    signature = hmac.digest(SIGNING.encode(), message, "sha256").hex()
    sent = {"X-Tenant-Id": tenant_id, "X-Timestamp": stamp, "X-Nonce": nonce, "X-Signature": f"v1={signature}"}
    return samples.request("POST", headers=sent, received_at=NOW)


def walk(policies=WALK, truth=BY_SLUG, **options) -> Machine:
    return Machine(policies, truth, plan=PLAN, **options)


def refused(machine: Machine, request) -> Problem:
    with pytest.raises(Refused) as raised:
        machine.decide(request)
    return raised.value.problem
