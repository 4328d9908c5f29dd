"""What the callers of the measurement bring: tokens, keys and signatures, of tenants by number."""

from __future__ import annotations

import hmac
import json
import secrets as random
import time
from base64 import urlsafe_b64encode
from hashlib import sha256

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.pipeline.signing import mac_of
from policies.hmac_signature import string_to_sign

ISSUER, AUDIENCE, HOST = "https://idp.example", "api", "bench.example"
_LIFE = 3 * 3600
_NOTHING = sha256(b"").hexdigest()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


_HEAD = _encode(b'{"alg":"HS256","typ":"JWT"}')


class Keys:
    """Made anew for each run."""

    def __init__(self) -> None:
        # 32 characters, as peers have it in their configuration as text.
        self.secret = random.token_hex(16)
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_pem(self) -> str:
        return self._rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def jwks(self) -> str:
        """The secret as a key set, which is how Envoy takes it."""
        key = {"kty": "oct", "alg": "HS256", "k": _encode(self.secret.encode())}
        return json.dumps({"keys": [key]})

    def hs256(self, tenant: str, subject: str, life: int = _LIFE) -> str:
        """A token, some microseconds each: a run with distinct tokens needs tens of thousands."""
        signed = f"{_HEAD}.{_encode(json.dumps(_claims(tenant, subject, life)).encode())}"
        return f"{signed}.{_encode(hmac.digest(self.secret.encode(), signed.encode(), sha256))}"

    def rs256(self, tenant: str, subject: str, life: int = _LIFE) -> str:
        return jwt.encode(_claims(tenant, subject, life), self._rsa, algorithm="RS256")


def signed_headers(tenant_id: str, secret: str, target: str) -> dict[str, str]:
    """The headers of a GET of `target` at HOST, signed now (HMAC#1)."""
    timestamp, nonce = str(int(time.time())), random.token_hex(16)
    mac = mac_of(secret.encode(), string_to_sign(tenant_id, timestamp, nonce, "GET", HOST, target, _NOTHING))
    return {"X-Tenant-Id": tenant_id, "X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": f"v1={mac.hex()}"}


def tampered(credential: str) -> str:
    """The same with one character of its end changed, which is within the signature or the checksum."""
    at = len(credential) - 10
    return credential[:at] + ("A" if credential[at] != "A" else "B") + credential[at + 1 :]


def _claims(tenant: str, subject: str, life: int) -> dict[str, str | int]:
    now = int(time.time())
    return {"sub": subject, "tenant": tenant, "iat": now, "exp": now + life, "iss": ISSUER, "aud": AUDIENCE}
