"""`X-Gateway-Identity`: a short-lived JWT (RFC 7519) that tells one upstream who calls, for which tenant, and with which
request, so that it need not trust the network or the other headers."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Hashable, Mapping
from hashlib import sha256

from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.pipeline.call import Call

LIFETIME = 30
"""Seconds."""

REUSED = 5
"""Seconds for which a token may be shared."""

_HELD = 4096
TYPE = "tg-identity+jwt"


class IdentitySigner:
    """Signs with Ed25519 (RFC 8037)."""

    def __init__(self, pem: str) -> None:
        """`pem`: a private key in PKCS #8. Raises ValueError where it is no Ed25519 key; the text quotes nothing of it."""
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError):
            raise ValueError("the identity key is not an unencrypted private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the identity key is not an Ed25519 key")
        self._sign = key.sign
        self._jwk = _public_jwk(key)
        self._held: LRUCache[Hashable, tuple[str, float]] = LRUCache(_HELD)
        self._head = _encoded({"alg": "EdDSA", "typ": TYPE, "kid": self._jwk["kid"]}) + b"."

    def token(self, call: Call, audience: str, now: float) -> str:
        """The token of a request for the upstream named `audience`. `now` is in seconds since 1970.

        Requests of one caller with the same method and path share a token for `REUSED` seconds: to sign costs more than all the
        rest of a request, and whoever could replay a token within its life could replay it as well if each were signed.
        """
        return self.signed(call, audience, now)[0]

    def signed(self, call: Call, audience: str, now: float) -> tuple[str, float]:
        """The token, and when it was signed."""
        if call.principal.nonce is not None:
            return self._sign_for(call, audience, now), now
        tenant = None if call.customer is None else (call.customer.tenant.id, call.customer.tenant.version)
        subject = (call.principal, tenant, audience, call.request.method, call.request.path)
        held = self._held.get(subject)
        if held is None or not 0 <= now - held[1] < REUSED:
            held = self._held[subject] = (self._sign_for(call, audience, now), now)
        return held

    def _sign_for(self, call: Call, audience: str, now: float) -> str:
        signed = self._head + _encoded(_claims(call, audience, int(now)))
        return (signed + b"." + _base64(self._sign(signed))).decode("ascii")

    def jwks(self) -> Mapping[str, object]:
        """The public key, as a JSON Web Key Set (RFC 7517, 5)."""
        return {"keys": [dict(self._jwk)]}


def _claims(call: Call, audience: str, now: int) -> dict[str, object]:
    """`htm` and `htu` bind the token to method and path, as sent and without the query (after RFC 9449, 4.2). What is not known
    is left out."""
    principal, request = call.principal, call.request
    claims: dict[str, object] = {
        "iss": "tenantgate",
        "aud": audience,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": request.request_id,
        "sub": principal.subject,
        "htm": request.method,
        "htu": request.path,
        "auth_method": principal.method,
        "environment": principal.environment,
    }
    optional: dict[str, object] = {
        "org": principal.org,
        "role": principal.role,
        "scopes": sorted(principal.scopes) or None,
        "key_id": principal.credential_id,
        "allowed_domain_ids": principal.allowed_domain_ids,
    }
    if call.customer is not None:
        tenant = call.customer.tenant
        optional |= {
            "org": tenant.org,
            "tenant": tenant.slug,
            "tenant_id": tenant.typeid,
            "schema": tenant.schema,
            "plan": tenant.plan,
            "region": tenant.region,
        }
    claims.update((name, value) for name, value in optional.items() if value is not None)
    return claims


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """RFC 8037, 2; its `kid` is the thumbprint of RFC 7638."""
    x = _base64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")
    required = {"crv": "Ed25519", "kty": "OKP", "x": x}
    thumbprint = sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return {**required, "kid": _base64(thumbprint).decode("ascii"), "alg": "EdDSA", "use": "sig"}


def _encoded(value: Mapping[str, object]) -> bytes:
    return _base64(json.dumps(value, separators=(",", ":")).encode("ascii"))


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
