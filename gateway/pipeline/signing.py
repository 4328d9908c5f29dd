"""What the two kinds of signed request share: the form of a nonce, the window, and the proof by a tenant's secrets."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from gateway.errors import SIGNATURE_EXPIRED, SIGNATURE_INVALID, Refused
from gateway.tenancy.credential import SigningSecret
from gateway.tenancy.tenant import Tenant

from .lookup import Record
from .policy import PolicyConfig
from .principal import Principal

_NONCE = re.compile(r"[!-~]{16,128}")
# How long a nonce is remembered at the least, whatever the window.
_SHORTEST_MEMORY = 600
# The window is checked when the head has come; the nonce is claimed when the body has, at most this many seconds later.
_BODY_SECONDS = 60
# Stands in where a tenant is unknown, so that the answer takes the same work.
_DUMMY_SECRET = secrets.token_bytes(32)


class SigningConfig(PolicyConfig):
    window: Annotated[int, Field(gt=0, le=900)] = 300
    """How far the signature's time may be from the gateway's, before or after, in seconds."""


def invalid(detail: str = "") -> Refused:
    return Refused(SIGNATURE_INVALID, detail)


def is_nonce(text: str) -> bool:
    """16 to 128 visible ASCII characters."""
    return _NONCE.fullmatch(text) is not None


def check_window(timestamp: int, now: float, window: int) -> None:
    """Raises Refused(SIGNATURE_EXPIRED) where `timestamp` is more than `window` seconds before or after `now`.

    It is checked before the signature is: it reads nothing but the request, so it tells nothing about tenants.
    """
    if abs(now - timestamp) > window:
        raise Refused(SIGNATURE_EXPIRED, f"The signature's time is more than {window} seconds from the gateway's.")


def mac_of(secret: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104, RFC 6234)."""
    return hmac.digest(secret, message, sha256)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as it was presented, received at `received_at` (seconds since 1970) under a window in seconds."""

    mac: bytes = field(repr=False)
    nonce: str
    received_at: float
    window: int

    def prove(self, record: Record | None, message: bytes) -> Principal:
        """The tenant's backend, where one of the tenant's secrets signed `message`. An unknown tenant gets the same answer, at
        the cost of one MAC as well. Raises Refused(SIGNATURE_INVALID)."""
        tenant = record if isinstance(record, Tenant) else None
        # A secret whose grace the record's last change has ended is over, however late this worker's clock is.
        now = max(self.received_at, tenant.updated_at) if tenant else self.received_at
        secret = _signer(tenant.secrets if tenant else (), message, self.mac, now)
        if tenant is None or secret is None:
            raise invalid()
        return Principal(
            method="hmac",
            subject=tenant.typeid,
            org=tenant.org,
            credential_id=secret.id,
            nonce=self.nonce,
            nonce_ttl=max(_SHORTEST_MEMORY, 2 * self.window) + _BODY_SECONDS,
        )


def _signer(candidates: Sequence[SigningSecret], message: bytes, mac: bytes, now: float) -> SigningSecret | None:
    """Every secret is tried, so that the time taken does not tell which one fits."""
    valid = [secret for secret in candidates if secret.not_after is None or now < secret.not_after]
    if not valid:
        hmac.compare_digest(mac_of(_DUMMY_SECRET, message), mac)
    found = None
    for secret in valid:
        if hmac.compare_digest(mac_of(secret.value, message), mac):
            found = secret
    return found
