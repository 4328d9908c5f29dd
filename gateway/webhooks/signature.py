"""Signatures of deliveries, in the form of Standard Webhooks (symmetric, `v1`): https://www.standardwebhooks.com."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

from gateway.tenancy.credential import SigningSecret


def signed_headers(secrets: Iterable[SigningSecret], message: str, now: float, body: bytes) -> Mapping[str, str]:
    """`message` names the event, `now` is in seconds since 1970. One signature for each secret that is valid: while one
    follows another, a receiver that knows either can verify."""
    stamp = str(int(now))
    signed = b".".join((message.encode(), stamp.encode(), body))
    valid = [secret for secret in secrets if secret.not_after is None or secret.not_after > now]
    signatures = [b64encode(hmac.digest(secret.value, signed, sha256)).decode() for secret in valid]
    return {
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
